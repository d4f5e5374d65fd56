"""The usage rows of one line, one for each call of this worker or an earlier one, and its end. Pure."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from crossdock.kernel.runtime.pool.claims import Start
from crossdock.provider.adapters.types import ProviderAnswer, ProviderCall
from crossdock.provider.classify import Verdict
from crossdock_schemas.calls.usage import CallOutcome, Usage
from crossdock_schemas.ids import ExecutionId, HoldId, execution_id
from crossdock_schemas.money import to_units, to_usd
from crossdock_schemas.parcel.output_line import MAX_CUSTOM_ID, RequestEnd
from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.parcel.result import Result
from crossdock_schemas.pricing.prices import Cost, price_tokens
from crossdock_schemas.tokens import Tokens

UNBOUNDED = 10**12  # tokens: a parcel of an older version does not name its bound
PROVIDER_PROMPT = (
    1024  # tokens that a provider may add to a question: its template, its words about tools
)
CHARS_PER_TOKEN = 4  # OpenAI's rule of thumb for English text


def estimate_tokens(*, prompt_bytes: int, output_chars: int) -> Tokens:
    """Return an estimate from lengths, rounded up, for a call whose provider reports no usage."""
    return Tokens(
        input=-(-prompt_bytes // CHARS_PER_TOKEN), output=-(-output_chars // CHARS_PER_TOKEN)
    )


@dataclass(frozen=True, slots=True)
class CallTiming:
    """Unix ms. A call starts with its claim, so a worker that takes over knows the time too."""

    started_ms: int
    finished_ms: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A line at its end, with its parcel."""

    parcel: Parcel
    result: Result
    line: bytes


@dataclass
class LineBook:
    """Makes usage rows, and sums their tokens and costs."""

    parcel: Parcel
    line: int
    claim: str
    calls: int = 0
    """Calls for the line at this candidate."""
    tolerance: float = 1.0
    """Tokens that count, as a multiple of the worst case, for calls without a budget."""
    tokens: Tokens = field(default_factory=Tokens)
    cost_usd: Decimal = Decimal(0)

    def execution_of(self, number: int, claim: str) -> ExecutionId:
        request_id = self.parcel.request_id_of(self.line)
        return execution_id(request_id, self.parcel.attempt, number, claim, self._hold_id)

    def finished(self, end: RequestEnd, now_ms: int) -> Finished:
        """Return the end of the line, with the sum of what its calls used."""
        parcel = self.parcel
        result = end.result(
            self.line,
            parcel.model,
            parcel.created_at_ms,
            now_ms,
            provider=parcel.candidate.provider,
            attempts=parcel.attempt,
            calls=self.calls,
            tokens=self.tokens,
            cost_usd=self.cost_usd,
        )
        return Finished(parcel, result, end.line)

    @property
    def _hold_id(self) -> HoldId | None:
        return None if self.parcel.hold is None else self.parcel.hold.hold_id

    def row(
        self,
        call: ProviderCall,
        number: int,
        reply: ProviderAnswer | Verdict,
        timing: CallTiming,
        *,
        status: int | None,
        provider_request_id: str | None,
        repeat_of: ExecutionId | None,
    ) -> Usage:
        """Return the row of a call with a known outcome. A failed call that may cost is booked at an estimate."""
        verdict = reply if isinstance(reply, Verdict) else None
        may_cost = verdict is None or verdict.outcome.may_cost
        reported = self._tokens_of(reply, call)
        tokens = reported.within(*self._most())
        prices = self.parcel.candidate.prices
        asked = price_tokens(tokens, prices, succeeded=may_cost)
        cost = self._within_hold(asked)
        is_estimated = reply.tokens is None if isinstance(reply, ProviderAnswer) else may_cost
        disputed: dict[str, Any] = {}
        if (tokens is not reported or cost is not asked) and not is_estimated:
            beyond = price_tokens(reported, prices, succeeded=may_cost).total - cost.total
            disputed = {"reported": reported, "disputed_usd": beyond}
        self.tokens = self.tokens + tokens
        self.cost_usd += cost.total
        return self._row(
            call,
            number,
            timing,
            execution_id=self.execution_of(number, self.claim),
            claim=self.claim,
            outcome=CallOutcome.OK if verdict is None else verdict.outcome,
            status_code=status,
            error_code=None if verdict is None else verdict.code,
            tokens=tokens,
            is_estimated=is_estimated,
            cost=cost,
            provider_cost_usd=reply.provider_cost_usd
            if isinstance(reply, ProviderAnswer)
            else None,
            provider_request_id=provider_request_id,
            repeat_of=repeat_of,
            **disputed,
        )

    def _most(self) -> tuple[int, int]:
        """Return the tokens of input and of output of one call in its worst case: no more of them are booked."""
        ask, candidate, hold = (
            self.parcel.ask_of(self.line),
            self.parcel.candidate,
            self.parcel.hold,
        )
        inputs = min(ask.input, candidate.input_most or ask.input)
        answer = ask.output or candidate.output_most or UNBOUNDED
        output = (answer + ask.extra) * ask.choices
        if hold is not None and hold.is_limited:
            return inputs, output
        theirs = int(inputs * self.tolerance) + PROVIDER_PROMPT
        return theirs, int(output * self.tolerance)

    def _within_hold(self, cost: Cost) -> Cost:
        """Return `cost` up to the amount held for the line. Prices may have risen since, where catalogues differ."""
        held = self.parcel.held
        if not held:
            return cost
        most = held[self.parcel.lines.index(self.line)]
        return cost if to_units(cost.total) <= most else cost.within(to_usd(most))

    def unknown(
        self, call: ProviderCall, start: Start, repeat_of: ExecutionId | None, *, was_refused: bool
    ) -> Usage:
        """Return the row of a call of unknown outcome, with an answer as long as its prompt.

        If the same worker called again, the call was refused and cost nothing. If that worker still reports the call,
        its own row replaces this one.
        """
        tokens = Tokens() if was_refused else self._estimate(call).within(*self._most())
        return self._row(
            call,
            start.call,
            CallTiming(start.at_ms, start.at_ms),
            execution_id=self.execution_of(start.call, start.claim),
            claim=start.claim,
            outcome=CallOutcome.UNKNOWN,
            error_code="worker_died",
            tokens=tokens,
            is_estimated=True,
            cost=self._within_hold(
                price_tokens(tokens, self.parcel.candidate.prices, succeeded=not was_refused)
            ),
            duplicate_suspected=not was_refused,
            repeat_of=repeat_of,
        )

    def _tokens_of(self, reply: ProviderAnswer | Verdict, call: ProviderCall) -> Tokens:
        if isinstance(reply, Verdict):
            return self._estimate(call) if reply.outcome.may_cost else Tokens()
        return reply.tokens or estimate_tokens(
            prompt_bytes=len(call.body), output_chars=reply.output_chars
        )

    def _estimate(self, call: ProviderCall) -> Tokens:
        """Return an estimate for a call without an answer: as long as its prompt, within its limit."""
        size = len(call.body)
        tokens = estimate_tokens(prompt_bytes=size, output_chars=size)
        most = self.parcel.ask_of(self.line).output
        return tokens.model_copy(update={"output": min(tokens.output, most)}) if most else tokens

    def _row(
        self, call: ProviderCall, number: int, timing: CallTiming, **of_the_call: Any
    ) -> Usage:
        """Return the row, with the fields of the parcel and the plan."""
        parcel, candidate = self.parcel, self.parcel.candidate
        # why not model_construct: it takes 7 us here, the constructor 3
        return Usage(
            request_id=parcel.request_id_of(self.line),
            parcel_id=parcel.parcel_id,
            batch_id=parcel.batch_id,
            line=self.line,
            custom_id=call.custom_id[:MAX_CUSTOM_ID],
            account=parcel.account,
            project=parcel.project,
            key_id=parcel.key_id,
            hold_id=self._hold_id,
            user=parcel.user_of(self.line),
            tags=parcel.tags,
            lane=parcel.lane,
            operation=parcel.operation,
            model=parcel.model,
            provider=candidate.provider,
            upstream_model=candidate.upstream_model,
            is_byok=candidate.credential_id is not None,
            credential_id=candidate.credential_id,
            attempt=parcel.attempt,
            call=number,
            route_reason=candidate.reason,
            price_version=candidate.prices.version,
            created_at_ms=parcel.created_at_ms,
            started_at_ms=timing.started_ms,
            finished_at_ms=timing.finished_ms,
            **of_the_call,
        )
