"""The attempt of a line at one candidate: claim, call, judge, wait, call again, until it ends or leaves."""

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
from crossdock.kernel.requests.rejection import custom_id_of
from crossdock.kernel.runtime.pool.claim_writer import Job
from crossdock.kernel.runtime.pool.claims import Start
from crossdock.provider.adapters.types import ProviderAnswer, ProviderCall, UnreadableLineError
from crossdock.provider.call import Exchange, request_id_of
from crossdock.provider.classify import NextStep, Verdict
from crossdock.provider.client import ProviderSite
from crossdock.provider.credentials.use import CallKey
from crossdock.provider.onward_line import OnwardLine
from crossdock.provider.publisher import Publisher
from crossdock.provider.result_lines import (
    FAULT,
    UNREADABLE,
    error_body,
    status_of,
    unavailable,
)
from crossdock.provider.usage_rows import CallTiming, Finished, LineBook
from crossdock_schemas.calls.usage import CallOutcome
from crossdock_schemas.ids import ExecutionId, RequestId
from crossdock_schemas.parcel.output_line import RequestEnd, completed, failed, not_executed
from crossdock_schemas.parcel.parcel import Lane, Parcel
from crossdock_schemas.parcel.result import Outcome

BACKOFF_BASE_S = 0.25
BACKOFF_LIMIT_S = 4.0
PATIENCE_S = 5.0  # for a longer wait a line goes to the next candidate or to a delayed retry
SPREAD_S = 0.05  # lines that waited together go on spread over this time, doubled with each call
SPREAD_DOUBLINGS = 8
CALLS_PER_ATTEMPT = 100  # the provider is sent the number attempt * 100 + call


class CallClaims(Protocol):
    """The part of `ClaimWriter` that an attempt uses."""

    claim: str

    async def start(self, job: Job, line: int, call: int, *, is_urgent: bool) -> int: ...


def _never() -> bool:
    return False


async def _none() -> CallKey | None:
    return None


@dataclass
class Attempt:
    """One line at one candidate. `run` raises LeaseLostError if another worker may have taken the line over."""

    parcel: Parcel
    line: int
    raw: bytes
    site: ProviderSite
    publisher: Publisher
    clock: Clock
    chance: random.Random
    claims: CallClaims
    job: Job
    is_cancelled: Callable[[], bool] = _never
    find_key: Callable[[], Awaitable[CallKey | None]] = _none
    """Returns the key for this candidate; None if it cannot be used now."""
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    request_id: RequestId = field(init=False)
    exchange: Exchange = field(init=False)
    calls_lost: int = field(init=False)
    has_cost: bool = field(init=False, default=False)
    """A call under this hold had no answer and may have used it up."""
    book: LineBook = field(init=False)
    sent: tuple[ProviderCall, Start] | None = field(init=False, default=None)
    """The call that was claimed and is not booked yet."""
    repeat_of: ExecutionId | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.calls_lost = self.parcel.calls_lost
        self.book = LineBook(
            self.parcel,
            self.line,
            self.claims.claim,
            self.parcel.calls_made,
            self.site.provider.usage_tolerance,
        )
        self.request_id = self.parcel.request_id_of(self.line)
        self.exchange = Exchange(self.parcel, self.site, self.clock)
        self.repeat_of = self.parcel.repeats.get(self.line)

    async def run(self) -> Finished | OnwardLine:
        """Return how the line ends or continues; every call is booked."""
        try:
            call = self.site.adapter.make_call(self.raw, self.parcel.candidate)
        except UnreadableLineError:
            return self._failed("", UNREADABLE)
        lapsed = self.book_lapsed()
        if self.site.is_removed:
            return self._onward(1, is_lost=lapsed > 0, is_replanned=True)
        if lapsed and self.parcel.hold is not None:
            return self._onward(self.parcel.attempt, self.book.calls, is_lost=True)
        while True:
            async with self.site.slots:
                reply = await self._turn(call) if self._is_free() else None
            if isinstance(reply, ProviderAnswer):
                return self._finished(completed(self.request_id, call.custom_id, reply.body))
            if reply is None:
                ended = await self._wait(call)
            else:
                ended = await self._after(reply, call)
            if ended is not None:
                return ended

    def give_up(self) -> Finished:
        """Return the end of a line that an unexpected error broke off. A call not booked yet has an unknown end."""
        if self.sent is not None:
            call, start = self.sent
            row = self.book.unknown(call, start, self.repeat_of, was_refused=False)
            self.publisher.book(row)
        return self._failed(custom_id_of(self.raw), FAULT)

    def book_lapsed(self) -> int:
        """Book the calls that another worker began and did not end, and count on from them; return how many."""
        earlier = self.job.earlier
        starts = [] if earlier is None else earlier.lapsed(self.line)
        if earlier is None or not starts:
            return 0
        try:
            call = self.site.adapter.make_call(self.raw, self.parcel.candidate)
        except UnreadableLineError:
            return 0  # no call was made
        first = self.repeat_of
        for start in starts:
            previous = earlier.repeated_by(self.line, start)
            of = (
                first if previous is None else self.book.execution_of(previous.call, previous.claim)
            )
            was_refused = earlier.was_followed(self.line, start)
            self.publisher.book(self.book.unknown(call, start, of, was_refused=was_refused))
            self.book.calls = max(self.book.calls, start.call)
            self.repeat_of = self.book.execution_of(start.call, start.claim)
        self.calls_lost += len({start.claim for start in starts})
        return len(starts)

    def _is_free(self) -> bool:
        """Return whether a call may be made now."""
        is_open = not self._closed_s() and not self.site.is_removed
        may_begin = self._left_s() > 0 and not self._is_too_late()
        return is_open and may_begin and not self.draining.is_set() and not self.is_cancelled()

    def _closed_s(self) -> float:
        candidate = self.parcel.candidate
        return self.site.closed_s(candidate.model, candidate.credential_id)

    async def _wait(self, call: ProviderCall) -> Finished | OnwardLine | None:
        """Wait until the endpoint is open; return how the line ends or continues if it must not be called."""
        if self.is_cancelled():
            return self._not_executed(call.custom_id, Outcome.CANCELLED)
        if self._left_s() <= 0 or self._is_too_late():
            return self._not_executed(call.custom_id, Outcome.EXPIRED)
        if self.draining.is_set():
            return self._onward(self.parcel.attempt, self.book.calls)
        if self.site.is_removed:
            return self._onward(1, is_replanned=True)
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
        """Wait; the deadline or the draining of the pool ends the wait."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(wait_s, self._left_s())):
                await self.draining.wait()

    async def _turn(self, call: ProviderCall) -> ProviderAnswer | Verdict:
        """Call with the candidate's key; if it cannot be used, no call is made."""
        candidate = self.parcel.candidate
        if (
            candidate.credential_id is None
            and self.site.installation_key is None
            and not self.site.needs_key
        ):
            return await self._call(call, None)
        key = await self.find_key()
        if key is None:
            return unavailable(candidate.provider, candidate.credential_id)
        try:
            return await self._call(call, key)
        except KeyShapeError:  # the address in the catalogue changed after the key was created
            return unavailable(candidate.provider, candidate.credential_id)

    async def _call(self, call: ProviderCall, key: CallKey | None) -> ProviderAnswer | Verdict:
        upstream = self.parcel.attempt * CALLS_PER_ATTEMPT + self.book.calls + 1
        candidate = self.parcel.candidate
        request = self.site.request(
            self.parcel.operation,
            candidate.upstream_model,
            call.body if key is None else key.body(call.body, candidate.model),
            self.request_id,
            upstream,
            key=key,
            now_s=self.clock.now_ms() / 1000,
        )
        number = self.book.calls + 1
        is_urgent = self.parcel.lane is Lane.REALTIME
        started_ms = await self.claims.start(self.job, self.line, number, is_urgent=is_urgent)
        self.book.calls = number
        self.sent = call, Start(self.claims.claim, number, started_ms)
        sent_ms = self.clock.now_ms()
        reply, response = await self.exchange.ask(request, key, self._left_s())
        finished_ms = self.clock.now_ms()
        self._book(call, reply, response, CallTiming(started_ms, finished_ms))
        self.sent = None
        self._note(reply, finished_ms - sent_ms)
        return reply

    def _book(
        self,
        call: ProviderCall,
        reply: ProviderAnswer | Verdict,
        response: httpx.Response | None,
        timing: CallTiming,
    ) -> None:
        usage = self.book.row(
            call,
            self.book.calls,
            reply,
            timing,
            status=None if response is None else response.status_code,
            provider_request_id=None if response is None else request_id_of(response),
            repeat_of=self.repeat_of,
        )
        if self.repeat_of is not None:
            metrics.CALLS_REPEATED.labels(self.site.provider.name).inc()
        if usage.outcome.may_cost:
            self.repeat_of = usage.execution_id
            self.has_cost = self.parcel.hold is not None
        self.publisher.book(usage)

    def _note(self, reply: ProviderAnswer | Verdict, took_ms: int) -> None:
        """Count the call for the health of the endpoint."""
        outcome = reply.outcome if isinstance(reply, Verdict) else CallOutcome.OK
        is_fault = isinstance(reply, Verdict) and reply.step is not NextStep.GIVE_UP
        candidate = self.parcel.candidate
        self.site.note(
            candidate.model, outcome, took_ms, is_fault=is_fault, byok=candidate.credential_id
        )

    async def _after(self, verdict: Verdict, call: ProviderCall) -> Finished | OnwardLine | None:
        """Return how the line ends or continues after `verdict`; None to call again, after the wait."""
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
        return self._failed(call.custom_id, verdict)

    def _may_call_again(self, verdict: Verdict) -> bool:
        """Return whether one more call is allowed. A batch line without another candidate waits out a rate limit."""
        is_patient = (
            verdict.outcome is CallOutcome.RATE_LIMITED
            and self.parcel.lane is Lane.BATCH
            and not self.parcel.has_next_candidate
        )
        limit = CALLS_PER_ATTEMPT - 1 if is_patient else self.site.provider.max_calls
        # a call that ended with its worker is not a fault of this endpoint
        return self.book.calls - self.calls_lost < limit and self.book.calls < CALLS_PER_ATTEMPT - 1

    def _backoff_s(self) -> float:
        return backoff_s(
            self.book.calls, base_s=BACKOFF_BASE_S, limit_s=BACKOFF_LIMIT_S, chance=self.chance
        )

    def _finished(self, end: RequestEnd) -> Finished:
        return self.book.finished(end, self.clock.now_ms())

    def _failed(self, custom_id: str, verdict: Verdict) -> Finished:
        status, body = status_of(verdict), error_body(verdict)
        return self._finished(failed(self.request_id, custom_id, status, verdict.code, body))

    def _not_executed(self, custom_id: str, outcome: Outcome) -> Finished:
        in_batch = self.parcel.batch_id is not None
        return self._finished(not_executed(self.request_id, custom_id, outcome, in_batch=in_batch))

    def _fallen_back(self) -> OnwardLine:
        return self._onward(self.parcel.attempt + 1)

    def _later(self, wait_s: float) -> OnwardLine:
        """Let a topic of delayed retries hold the line, until its deadline at most."""
        due_ms = self.clock.now_ms() + round(min(wait_s, self._left_s()) * 1000)
        return self._onward(self.parcel.attempt, self.book.calls, due_ms)

    def _onward(
        self,
        attempt: int,
        calls_made: int = 0,
        due_ms: int | None = None,
        *,
        is_lost: bool = False,
        is_replanned: bool = False,
    ) -> OnwardLine:
        """Return how the line continues. If its hold is used up it is admitted again, and a wait starts after that."""
        is_readmission = is_lost or is_replanned or self.has_cost
        return OnwardLine(
            self.line,
            self.raw,
            attempt,
            calls_made,
            calls_lost=self.calls_lost if calls_made else 0,
            due_ms=None if is_readmission else due_ms,
            is_readmission=is_readmission,
            is_lost=is_lost,
            is_replanned=is_replanned,
            repeat_of=self.repeat_of,
        )
