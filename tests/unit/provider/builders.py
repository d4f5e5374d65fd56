"""Parcels, sites and a log for the provider's tests."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

import httpx
from typing_extensions import override

from crossdock.kernel.process.clock import Clock, ManualClock
from crossdock.kernel.process.errors import LeaseLostError
from crossdock.kernel.process.record import Outgoing, Record
from crossdock.kernel.runtime.pool.claim_writer import Job
from crossdock.kernel.runtime.pool.claims import EarlierClaims, Start
from crossdock.provider.attempt import Attempt
from crossdock.provider.client import ProviderSite
from crossdock.provider.publisher import Publisher
from crossdock_schemas.calls.usage import Usage, UsageGroup
from crossdock_schemas.ids import (
    AccountId,
    BatchId,
    CredentialId,
    KeyId,
    ParcelId,
    ProjectId,
    RequestId,
)
from crossdock_schemas.parcel.parcel import Lane, Parcel
from crossdock_schemas.parcel.plan import Candidate, Plan
from crossdock_schemas.pricing.catalogue import Offer, Provider
from crossdock_schemas.pricing.prices import Prices

NOW_MS = 1_800_000_000_000
PRICES = Prices(input=Decimal(1), output=Decimal(2), request=Decimal("0.01"))
BATCH = BatchId("batch_" + "0" * 32)

ProviderAnswer = httpx.Response | Exception
Respond = Callable[[httpx.Request], ProviderAnswer | Awaitable[ProviderAnswer]]


def make_candidate(provider: str = "first", credential_id: str | None = None) -> Candidate:
    return Candidate(
        provider=provider,
        model="gull",
        upstream_model=f"{provider}-gull",
        prices=PRICES,
        reason="balanced" if credential_id is None else "byok",
        credential_id=None if credential_id is None else CredentialId(credential_id),
        credential_version=None if credential_id is None else 1,
    )


def make_plan(*credentials: str | None) -> Plan:
    """Return a plan of one endpoint, once with each key; None: the installation's."""
    return Plan(candidates=tuple(make_candidate(credential_id=one) for one in credentials))


def make_parcel(
    *, lines: tuple[int, ...] = (0,), providers: Sequence[str] = ("first",), **changes: Any
) -> Parcel:
    values: dict[str, Any] = {
        "parcel_id": ParcelId("parcel_" + "1" * 32),
        "account": AccountId("org_local"),
        "project": ProjectId("proj_default"),
        "key_id": KeyId("key_local"),
        "lane": Lane.BATCH,
        "operation": "/v1/chat/completions",
        "model": "gull",
        "lines": lines,
        "batch_id": BATCH,
        "created_at_ms": NOW_MS,
        "deadline_ms": NOW_MS + 60_000,
        "input_bytes": 100,
        "plan": Plan(candidates=tuple(make_candidate(name) for name in providers)),
    }
    return Parcel(**(values | changes))


def make_single(**changes: Any) -> Parcel:
    single = {"batch_id": None, "request_id": RequestId("req_" + "2" * 32), "lane": Lane.REALTIME}
    return make_parcel(**(single | changes))


def make_line(number: int = 0, **body: Any) -> bytes:
    messages = [{"role": "user", "content": "hello"}]
    line = {
        "custom_id": f"line-{number}",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "gull", "messages": messages} | body,
    }
    return json.dumps(line).encode()


def make_completion(**changes: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": "hi there"}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "first-gull",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage,
    } | changes


def sound(**changes: Any) -> httpx.Response:
    body = json.dumps(make_completion(**changes), separators=(",", ":"))
    return httpx.Response(200, content=body.encode(), headers={"x-request-id": "theirs"})


def refused(status: int, *, headers: dict[str, str] | None = None, **error: Any) -> httpx.Response:
    return httpx.Response(status, json={"error": error}, headers=headers)


class Provided:
    """A provider that answers by the book it is given, one entry a call, the last again and again."""

    def __init__(self, *answers: ProviderAnswer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, content=answer.content, headers=answer.headers)

    @property
    def numbers(self) -> list[str]:
        return [request.headers["x-crossdock-attempt"] for request in self.requests]


def make_site(provided: Callable[[httpx.Request], Any], **changes: Any) -> ProviderSite:
    values: dict[str, Any] = {
        "name": "first",
        "base_url": "http://first.test/v1",
        "models": (Offer(model="gull", prices=PRICES),),
    }
    return ProviderSite(Provider(**(values | changes)), httpx.MockTransport(provided), {})


class FakeLog:
    """Keeps what is sent, by send; `hold` stops acknowledgements."""

    def __init__(self) -> None:
        self.sends: list[list[Outgoing]] = []
        self.may_acknowledge = asyncio.Event()
        self.may_acknowledge.set()

    async def send(self, messages: Sequence[Outgoing]) -> None:
        if messages:
            self.sends.append(list(messages))
        await self.may_acknowledge.wait()

    @property
    def records(self) -> list[Outgoing]:
        return [message for send in self.sends for message in send]

    def on(self, topic: str) -> list[Outgoing]:
        return [record for record in self.records if record.topic == topic]

    @property
    def usage(self) -> list[Usage]:
        groups = [UsageGroup.from_json(record.value or b"") for record in self.on("usage")]
        return [row for group in groups for row in group.executions]


class FakeClaims:
    """Claims that are acknowledged at once, except those that `refuse` names."""

    claim = "claim"

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or ManualClock(NOW_MS)
        self.started: list[tuple[int, int]] = []
        self.ended: list[int] = []
        self.refuses: set[int] = set()
        self.is_lost = False

    async def confirm(self, job: Job) -> None:
        if self.is_lost:
            raise LeaseLostError(job.record.partition)

    async def start(self, job: Job, line: int, call: int, *, is_urgent: bool) -> int:
        if line in self.refuses:
            raise LeaseLostError(job.record.partition)
        self.started.append((line, call))
        return self._clock.now_ms()

    async def end(self, lines: Iterable[tuple[Job, int]]) -> None:
        self.ended += [line for _, line in lines]


def make_job(
    record: Record | None = None, starts: dict[int, list[Start]] | None = None, *ended: int
) -> Job:
    """Return a job, with what an earlier owner did."""
    earlier = EarlierClaims(0, starts or {}, {line: {"the teller"} for line in ended})
    empty = Record("dispatch.first.batch", 0, 0, NOW_MS, None, None, [])
    return Job(record or empty, earlier if starts or ended else None)


class Books(Publisher):
    """A publisher whose usage can be looked at."""

    def __init__(self) -> None:
        super().__init__(FakeLog(), ManualClock(NOW_MS), flush_s=0.001)
        self.rows: list[Usage] = []

    @override
    def book(self, usage: Usage) -> None:
        self.rows.append(usage)


class Chance(random.Random):
    """No jitter: always the lower end."""

    @override
    def uniform(self, a: float, b: float) -> float:
        return a


class FullChance(random.Random):
    """All the jitter there is: always the upper end."""

    @override
    def uniform(self, a: float, b: float) -> float:
        return b


def make_attempt(
    provided: Callable[[httpx.Request], Any],
    *,
    parcel: Parcel | None = None,
    raw: bytes | None = None,
    site: ProviderSite | None = None,
    clock: Clock | None = None,
    job: Job | None = None,
    chance: random.Random | None = None,
    **changes: Any,
) -> tuple[Attempt, Books]:
    books = Books()
    attempt = Attempt(
        parcel=parcel or make_parcel(),
        line=0,
        raw=make_line() if raw is None else raw,
        site=site or make_site(provided),
        publisher=books,
        clock=clock or ManualClock(NOW_MS),
        chance=chance or Chance(),
        claims=FakeClaims(clock),
        job=job or make_job(),
        **changes,
    )
    return attempt, books
