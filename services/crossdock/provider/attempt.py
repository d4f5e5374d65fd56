"""One line at one endpoint: call, judge, wait, call again, until it ends here or must go elsewhere."""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx

from crossdock.kernel.backoff import backoff_s
from crossdock.kernel.clock import Clock
from crossdock.provider.adapters.openai import (
    Answer,
    Call,
    UnreadableLineError,
    make_call,
    read_answer,
)
from crossdock.provider.classify import Action, Verdict, judge_answer, judge_fault, judge_loss
from crossdock.provider.endings import (
    UNREADABLE,
    expired_line,
    failure_line,
    status_of,
    success_line,
)
from crossdock.provider.endpoint import ProviderSite
from crossdock.provider.estimate import estimate_tokens
from crossdock.provider.publish import Finished, Publisher
from crossdock_schemas.ids import RequestId, execution_id
from crossdock_schemas.parcel import Lane, Parcel
from crossdock_schemas.prices import price_tokens
from crossdock_schemas.result import Outcome, Result
from crossdock_schemas.tokens import Tokens
from crossdock_schemas.usage import CallOutcome, Usage

BACKOFF_BASE_S = 0.25
BACKOFF_LIMIT_S = 4.0
PATIENCE_S = 5.0  # a longer wait falls back, where there is somewhere to fall back to
SPREAD_S = 0.05  # after a common wait the lines come back over this, doubled with each call
SPREAD_DOUBLINGS = 8
CALLS_PER_ATTEMPT = 100  # the number sent upstream is attempt * 100 + call
MAX_CUSTOM_ID = 512  # characters in our books; the caller's output line holds it whole


@dataclass(frozen=True, slots=True)
class Onward:
    """This line goes on as `attempt`: the next candidate's, or this one's once more, in another worker's hands."""

    line: int
    raw: bytes
    attempt: int
    calls_made: int = 0


@dataclass
class Attempt:
    """The tries of one line at one candidate."""

    parcel: Parcel
    line: int
    raw: bytes
    site: ProviderSite
    publisher: Publisher
    clock: Clock
    chance: random.Random
    claim: str
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    tokens: Tokens = field(default_factory=Tokens)
    cost_usd: Decimal = Decimal(0)
    calls: int = field(init=False)

    def __post_init__(self) -> None:
        self.calls = self.parcel.calls_made

    async def run(self) -> Finished | Onward:
        """Return the line's end here; every call on the way is booked."""
        request_id = self.parcel.request_id_of(self.line)
        try:
            call = make_call(self.raw, self.parcel.candidate)
        except UnreadableLineError:
            return self._failed(request_id, Call("", b""), UNREADABLE)
        while True:
            async with self.site.slots:
                said = await self._call(request_id, call) if self._is_free() else None
            if isinstance(said, Answer):
                return self._completed(request_id, call, said)
            if said is None:
                ended = await self._wait(request_id, call)
            else:
                ended = await self._after(said, request_id, call)
            if ended is not None:
                return ended

    def _is_free(self) -> bool:
        """Say whether a call may be made this moment."""
        is_open = not self.site.closed_s(self.parcel.candidate.model)
        return is_open and self._left_s() > 0 and not self.draining.is_set()

    async def _wait(self, request_id: RequestId, call: Call) -> Finished | Onward | None:
        """Wait until the endpoint opens; return how the line ends if no call shall be made."""
        if self._left_s() <= 0:
            return self._expired(request_id, call)
        if self.draining.is_set():
            return Onward(self.line, self.raw, self.parcel.attempt, self.calls)
        wait_s = self.site.closed_s(self.parcel.candidate.model)
        if wait_s > PATIENCE_S and self.parcel.has_next_candidate:
            return self._fallen_back()
        spread_s = SPREAD_S * 2.0 ** min(self.calls, SPREAD_DOUBLINGS)
        await self._rest(wait_s + self.chance.uniform(0, spread_s))
        return None

    def _left_s(self) -> float:
        return max(0.0, (self.parcel.deadline_ms - self.clock.now_ms()) / 1000)

    async def _rest(self, wait_s: float) -> None:
        """Wait that long; the deadline, or the pool's wish to come to rest, ends it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(wait_s, self._left_s())):
                await self.draining.wait()

    async def _call(self, request_id: RequestId, call: Call) -> Answer | Verdict:
        self.calls += 1
        number = self.parcel.attempt * CALLS_PER_ATTEMPT + self.calls
        request = self.site.request(self.parcel.operation, call.body, request_id, number)
        started_ms = self.clock.now_ms()
        response: httpx.Response | None = None
        try:
            response = await self._send(request)
            said = self._judge(response)
        except httpx.TransportError as error:
            said = judge_loss(error)
        except TimeoutError:
            said = judge_loss(httpx.ReadTimeout("the deadline came first"))
        self._book(request_id, call, said, response, started_ms)
        return said

    async def _send(self, request: httpx.Request) -> httpx.Response:
        """Return the whole response. The door keeps the provider's own limit; an earlier deadline is kept here."""
        left_s = self._left_s()
        if left_s < self.site.provider.call_timeout_s:
            async with asyncio.timeout(left_s):
                return await self._exchange(request)
        return await self._exchange(request)

    async def _exchange(self, request: httpx.Request) -> httpx.Response:
        response = await self.site.transport.handle_async_request(request)
        if not response.is_closed:
            await response.aread()
        return response

    def _judge(self, response: httpx.Response) -> Answer | Verdict:
        if not response.is_success:
            now = datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC)
            return judge_answer(response.status_code, response.headers, response.content, now=now)
        said = read_answer(self.parcel.operation, response.content)
        return said if isinstance(said, Answer) else judge_fault(said.outcome, said.code)

    def _book(
        self,
        request_id: RequestId,
        call: Call,
        said: Answer | Verdict,
        response: httpx.Response | None,
        started_ms: int,
    ) -> None:
        """Book the call, and note how the endpoint fared."""
        finished_ms = self.clock.now_ms()
        verdict = said if isinstance(said, Verdict) else None
        outcome = CallOutcome.OK if verdict is None else verdict.outcome
        tokens = self._tokens_of(said, call)
        cost = price_tokens(tokens, self.parcel.candidate.prices, succeeded=verdict is None)
        self.tokens = self.tokens + tokens if self.calls > 1 else tokens
        self.cost_usd += cost.total
        usage = self._row(
            request_id,
            call,
            outcome=outcome,
            status_code=None if response is None else response.status_code,
            error_code=None if verdict is None else verdict.code,
            tokens=tokens,
            is_estimated=isinstance(said, Answer) and said.tokens is None,
            cost=cost,
            provider_cost_usd=said.provider_cost_usd if isinstance(said, Answer) else None,
            started_at_ms=started_ms,
            finished_at_ms=finished_ms,
            provider_request_id=None if response is None else response.headers.get("x-request-id"),
        )
        self.publisher.book(usage)
        is_fault = verdict is not None and verdict.action is not Action.GIVE_UP
        took_ms = finished_ms - started_ms
        self.site.note(self.parcel.candidate.model, outcome, took_ms, is_fault=is_fault)

    def _row(self, request_id: RequestId, call: Call, **of_the_call: Any) -> Usage:
        """Return the books' row; what the parcel and the plan say of it is filled in here."""
        parcel, candidate = self.parcel, self.parcel.candidate
        # why not model_construct: pydantic's own constructor takes 3 us here, that one 7
        return Usage(
            execution_id=execution_id(request_id, parcel.attempt, self.calls, self.claim),
            request_id=request_id,
            parcel_id=parcel.parcel_id,
            batch_id=parcel.batch_id,
            line=self.line,
            custom_id=call.custom_id[:MAX_CUSTOM_ID],
            account=parcel.account,
            project=parcel.project,
            key_id=parcel.key_id,
            lane=parcel.lane,
            operation=parcel.operation,
            model=parcel.model,
            provider=candidate.provider,
            upstream_model=candidate.upstream_model,
            attempt=parcel.attempt,
            call=self.calls,
            route_reason=candidate.reason,
            price_version=candidate.prices.version,
            created_at_ms=parcel.created_at_ms,
            **of_the_call,
        )

    @staticmethod
    def _tokens_of(said: Answer | Verdict, call: Call) -> Tokens:
        if isinstance(said, Verdict):
            return Tokens()
        return said.tokens or estimate_tokens(
            prompt_bytes=len(call.body), output_chars=said.output_chars
        )

    async def _after(
        self, verdict: Verdict, request_id: RequestId, call: Call
    ) -> Finished | Onward | None:
        """Return the end that `verdict` means, or None to call again (after the wait)."""
        if verdict.after_s is not None:
            self.site.close_for(self.parcel.candidate.model, verdict.after_s)
        if verdict.action is Action.RETRY_HERE and self._may_call_again(verdict):
            if verdict.after_s is None:
                await self._rest(self._backoff_s())
            return None
        if verdict.action is not Action.GIVE_UP and self.parcel.has_next_candidate:
            return self._fallen_back()
        return self._failed(request_id, call, verdict)

    def _may_call_again(self, verdict: Verdict) -> bool:
        """Say whether one more call is within the limit. A batch's line outlasts a rate limit if nobody else has it."""
        is_patient = (
            verdict.outcome is CallOutcome.RATE_LIMITED
            and self.parcel.lane is Lane.BATCH
            and not self.parcel.has_next_candidate
        )
        limit = CALLS_PER_ATTEMPT - 1 if is_patient else self.site.provider.max_calls
        return self.calls < min(limit, CALLS_PER_ATTEMPT - 1)

    def _backoff_s(self) -> float:
        return backoff_s(
            self.calls, base_s=BACKOFF_BASE_S, limit_s=BACKOFF_LIMIT_S, chance=self.chance
        )

    def _fallen_back(self) -> Onward:
        return Onward(self.line, self.raw, self.parcel.attempt + 1)

    def _completed(self, request_id: RequestId, call: Call, answer: Answer) -> Finished:
        line = success_line(request_id, call.custom_id, answer.body)
        return self._finished(request_id, call, Outcome.COMPLETED, line, status=200)

    def _failed(self, request_id: RequestId, call: Call, verdict: Verdict) -> Finished:
        line = failure_line(request_id, call.custom_id, verdict)
        return self._finished(
            request_id,
            call,
            Outcome.FAILED,
            line,
            status=status_of(verdict),
            code=verdict.code,
        )

    def _expired(self, request_id: RequestId, call: Call) -> Finished:
        line = expired_line(request_id, call.custom_id)
        return self._finished(request_id, call, Outcome.EXPIRED, line, code="batch_expired")

    def _finished(
        self,
        request_id: RequestId,
        call: Call,
        outcome: Outcome,
        line: bytes,
        *,
        status: int | None = None,
        code: str | None = None,
    ) -> Finished:
        result = Result(
            request_id=request_id,
            line=self.line,
            custom_id=call.custom_id[:MAX_CUSTOM_ID],
            outcome=outcome,
            status_code=status,
            error_code=code,
            model=self.parcel.model,
            provider=self.parcel.candidate.provider,
            attempts=self.parcel.attempt,
            calls=self.calls,
            tokens=self.tokens,
            cost_usd=self.cost_usd,
            created_at_ms=self.parcel.created_at_ms,
            finished_at_ms=self.clock.now_ms(),
        )
        return Finished(self.parcel, result, line)
