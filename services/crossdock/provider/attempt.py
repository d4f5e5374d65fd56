"""One line at one endpoint: claim, call, judge, wait, call again, until it ends here or must go elsewhere."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import httpx

from crossdock.kernel.process import metrics
from crossdock.kernel.process.backoff import backoff_s
from crossdock.kernel.process.clock import Clock
from crossdock.kernel.requests.provider_keys import KeyShapeError
from crossdock.kernel.runtime.pool.claim_writer import Job
from crossdock.provider.adapters.types import ProviderAnswer, ProviderCall, UnreadableLineError
from crossdock.provider.call import Exchange
from crossdock.provider.classify import NextStep, Verdict
from crossdock.provider.client import ProviderSite
from crossdock.provider.credentials.use import CallKey
from crossdock.provider.line_end import LineEnds
from crossdock.provider.publisher import Finished, Publisher
from crossdock.provider.result_lines import (
    UNREADABLE,
    unavailable,
)
from crossdock.provider.usage_rows import CallTiming, LineBook
from crossdock_schemas.calls.usage import CallOutcome
from crossdock_schemas.ids import ExecutionId, RequestId
from crossdock_schemas.parcel.parcel import Lane, Parcel
from crossdock_schemas.parcel.result import Outcome

BACKOFF_BASE_S = 0.25
BACKOFF_LIMIT_S = 4.0
PATIENCE_S = (
    5.0  # a longer wait is spent elsewhere: at the next candidate, or in a topic of delayed retries
)
SPREAD_S = 0.05  # after a common wait the lines come back over this, doubled with each call
SPREAD_DOUBLINGS = 8
CALLS_PER_ATTEMPT = 100  # the number sent upstream is attempt * 100 + call


class Claims(Protocol):
    """What an attempt needs of a `ClaimWriter`."""

    claim: str

    async def start(self, job: Job, line: int, call: int, *, is_urgent: bool) -> int: ...


@dataclass(frozen=True, slots=True)
class OnwardLine:
    """This line goes on as `attempt`: the next candidate's, or this one's once more, later or in other hands."""

    line: int
    raw: bytes
    attempt: int
    calls_made: int = 0
    calls_lost: int = 0
    due_ms: int | None = None
    """Not before then."""
    is_readmission: bool = False
    """A call that brought no answer may have cost what was held: the next one needs a hold of its own."""
    is_lost: bool = False
    """The end of that call is unknown: its worker may still tell of it."""
    repeat_of: ExecutionId | None = None


def _never() -> bool:
    return False


async def _none() -> CallKey | None:
    return None


@dataclass
class Attempt:
    """The tries of one line at one candidate.

    Raises (from `run`):
        LeaseLostError: if another worker may have taken the line over; nothing of it is published then.
    """

    parcel: Parcel
    line: int
    raw: bytes
    site: ProviderSite
    publisher: Publisher
    clock: Clock
    chance: random.Random
    claims: Claims
    job: Job
    is_cancelled: Callable[[], bool] = _never
    find_key: Callable[[], Awaitable[CallKey | None]] = _none
    """Returns the key that this candidate is called with, if it may be used this moment."""
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    ends: LineEnds = field(init=False)
    exchange: Exchange = field(init=False)
    lost: int = field(init=False)
    has_cost: bool = field(init=False, default=False)
    """A call under this hold brought no answer, and may have cost what was held for it."""
    book: LineBook = field(init=False)
    repeat_of: ExecutionId | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.lost = self.parcel.calls_lost
        self.book = LineBook(self.parcel, self.line, self.claims.claim, self.parcel.calls_made)
        self.ends = LineEnds(self.parcel, self.line, self.book, self.clock)
        self.exchange = Exchange(self.parcel, self.site, self.clock)
        self.repeat_of = self.parcel.repeats.get(self.line)

    async def run(self) -> Finished | OnwardLine:
        """Return the line's end here; every call on the way is booked."""
        request_id = self.parcel.request_id_of(self.line)
        try:
            call = self.site.adapter.make_call(self.raw, self.parcel.candidate)
        except UnreadableLineError:
            return self.ends.failed("", UNREADABLE)
        if self.book_lapsed() and self.parcel.hold is not None:
            return self._onward(self.parcel.attempt, self.book.calls, is_lost=True)
        while True:
            async with self.site.slots:
                said = await self._turn(request_id, call) if self._is_free() else None
            if isinstance(said, ProviderAnswer):
                return self.ends.completed(call.custom_id, said.body)
            if said is None:
                ended = await self._wait(call)
            else:
                ended = await self._after(said, call)
            if ended is not None:
                return ended

    def book_lapsed(self) -> int:
        """Book the calls that a worker began and never told of; count on from them. Return how many they are."""
        held = self.job.held
        starts = [] if held is None else held.lapsed(self.line)
        if held is None or not starts:
            return 0
        try:
            call = self.site.adapter.make_call(self.raw, self.parcel.candidate)
        except UnreadableLineError:
            return 0  # none can have been made
        first = self.repeat_of
        for start in starts:
            earlier = held.repeated_by(self.line, start)
            of = first if earlier is None else self.book.execution_of(earlier.call, earlier.claim)
            was_refused = held.was_followed(self.line, start)
            self.publisher.book(self.book.unknown(call, start, of, was_refused=was_refused))
            self.book.calls = max(self.book.calls, start.call)
            self.repeat_of = self.book.execution_of(start.call, start.claim)
        self.lost += len({start.claim for start in starts})
        return len(starts)

    def _is_free(self) -> bool:
        """Say whether a call may be made this moment."""
        is_open = not self._closed_s()
        may_begin = self._left_s() > 0 and not self._is_too_late()
        return is_open and may_begin and not self.draining.is_set() and not self.is_cancelled()

    def _closed_s(self) -> float:
        candidate = self.parcel.candidate
        return self.site.closed_s(candidate.model, candidate.credential_id)

    async def _wait(self, call: ProviderCall) -> Finished | OnwardLine | None:
        """Wait until the endpoint opens; return how the line ends if no call shall be made."""
        if self.is_cancelled():
            return self.ends.not_executed(call.custom_id, Outcome.CANCELLED)
        if self._left_s() <= 0 or self._is_too_late():
            return self.ends.not_executed(call.custom_id, Outcome.EXPIRED)
        if self.draining.is_set():
            return self._onward(self.parcel.attempt, self.book.calls)
        wait_s = self._closed_s()
        if wait_s > PATIENCE_S and self.parcel.has_next_candidate:
            return self._fallen_back()
        if min(wait_s, self._left_s()) > PATIENCE_S:
            return self._later(wait_s)
        spread_s = SPREAD_S * 2.0 ** min(self.book.calls, SPREAD_DOUBLINGS)
        await self._rest(wait_s + self.chance.uniform(0, spread_s))
        return None

    def _left_s(self) -> float:
        return max(0.0, (self.parcel.deadline_ms - self.clock.now_ms()) / 1000)

    def _is_too_late(self) -> bool:
        start_before = self.parcel.start_before_ms
        return start_before is not None and self.clock.now_ms() >= start_before

    async def _rest(self, wait_s: float) -> None:
        """Wait that long; the deadline, or the pool's wish to come to rest, ends it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(wait_s, self._left_s())):
                await self.draining.wait()

    async def _turn(self, request_id: RequestId, call: ProviderCall) -> ProviderAnswer | Verdict:
        """Call, with the candidate's own key if it names one: without that key there is no call."""
        candidate = self.parcel.candidate
        if (
            candidate.credential_id is None
            and self.site.installed is None
            and not self.site.needs_key
        ):
            return await self._call(request_id, call, None)
        key = await self.find_key()
        if key is None:
            return unavailable(candidate.provider, candidate.credential_id)
        try:
            return await self._call(request_id, call, key)
        except KeyShapeError:  # the catalogue's address changed since the key was handed in
            return unavailable(candidate.provider, candidate.credential_id)

    async def _call(
        self, request_id: RequestId, call: ProviderCall, key: CallKey | None
    ) -> ProviderAnswer | Verdict:
        upstream = self.parcel.attempt * CALLS_PER_ATTEMPT + self.book.calls + 1
        request = self.exchange.request(request_id, call, upstream, key)
        number = self.book.calls + 1
        is_urgent = self.parcel.lane is Lane.REALTIME
        started_ms = await self.claims.start(self.job, self.line, number, is_urgent=is_urgent)
        self.book.calls = number
        sent_ms = self.clock.now_ms()
        said, response = await self.exchange.ask(request, key, self._left_s())
        finished_ms = self.clock.now_ms()
        self._book(call, said, response, CallTiming(started_ms, finished_ms))
        self._note(said, finished_ms - sent_ms)
        return said

    def _book(
        self,
        call: ProviderCall,
        said: ProviderAnswer | Verdict,
        response: httpx.Response | None,
        timing: CallTiming,
    ) -> None:
        usage = self.book.row(
            call,
            self.book.calls,
            said,
            timing,
            status=None if response is None else response.status_code,
            provider_request_id=None if response is None else response.headers.get("x-request-id"),
            repeat_of=self.repeat_of,
        )
        if self.repeat_of is not None:
            metrics.CALLS_REPEATED.labels(self.site.provider.name).inc()
        if usage.outcome.may_cost:
            self.repeat_of = usage.execution_id
            self.has_cost = self.parcel.hold is not None
        self.publisher.book(usage)

    def _note(self, said: ProviderAnswer | Verdict, took_ms: int) -> None:
        """Note how the endpoint fared."""
        outcome = said.outcome if isinstance(said, Verdict) else CallOutcome.OK
        is_fault = isinstance(said, Verdict) and said.step is not NextStep.GIVE_UP
        candidate = self.parcel.candidate
        self.site.note(
            candidate.model, outcome, took_ms, is_fault=is_fault, own=candidate.credential_id
        )

    async def _after(self, verdict: Verdict, call: ProviderCall) -> Finished | OnwardLine | None:
        """Return the end that `verdict` means, or None to call again (after the wait)."""
        if verdict.after_s is not None:
            candidate = self.parcel.candidate
            self.site.close_for(candidate.model, verdict.after_s, candidate.credential_id)
        if verdict.step is NextStep.RETRY_HERE and self._may_call_again(verdict):
            if verdict.after_s is None:
                await self._rest(self._backoff_s())
            if self.has_cost and self._is_free():
                return self._onward(self.parcel.attempt, self.book.calls)
            return None
        if verdict.step is not NextStep.GIVE_UP and self.parcel.has_next_candidate:
            return self._fallen_back()
        return self.ends.failed(call.custom_id, verdict)

    def _may_call_again(self, verdict: Verdict) -> bool:
        """Say whether one more call is within the limit. A batch's line outlasts a rate limit if nobody else has it."""
        is_patient = (
            verdict.outcome is CallOutcome.RATE_LIMITED
            and self.parcel.lane is Lane.BATCH
            and not self.parcel.has_next_candidate
        )
        limit = CALLS_PER_ATTEMPT - 1 if is_patient else self.site.provider.max_calls
        # what a worker's death cut off was not this endpoint's fault
        return self.book.calls - self.lost < limit and self.book.calls < CALLS_PER_ATTEMPT - 1

    def _backoff_s(self) -> float:
        return backoff_s(
            self.book.calls, base_s=BACKOFF_BASE_S, limit_s=BACKOFF_LIMIT_S, chance=self.chance
        )

    def _fallen_back(self) -> OnwardLine:
        return self._onward(self.parcel.attempt + 1)

    def _later(self, wait_s: float) -> OnwardLine:
        """Give the wait to a topic; what cannot be called before its deadline comes back to end there."""
        due_ms = self.clock.now_ms() + round(min(wait_s, self._left_s()) * 1000)
        return self._onward(self.parcel.attempt, self.book.calls, due_ms)

    def _onward(
        self,
        attempt: int,
        calls_made: int = 0,
        due_ms: int | None = None,
        *,
        is_lost: bool = False,
    ) -> OnwardLine:
        """Return how the line goes on; through accounts if its hold is used up, where a wait begins anew afterwards."""
        is_readmission = is_lost or self.has_cost
        return OnwardLine(
            self.line,
            self.raw,
            attempt,
            calls_made,
            calls_lost=self.lost if calls_made else 0,
            due_ms=None if is_readmission else due_ms,
            is_readmission=is_readmission,
            is_lost=is_lost,
            repeat_of=self.repeat_of,
        )
