"""How a line ends at a worker: its output line, and what all its calls together used."""

from dataclasses import dataclass

from crossdock.kernel.process.clock import Clock
from crossdock.provider.adapters.openai import Answer, Call
from crossdock.provider.classify import Verdict
from crossdock.provider.publisher import Finished
from crossdock.provider.result_lines import (
    cancelled_line,
    expired_line,
    failure_line,
    status_of,
    success_line,
)
from crossdock.provider.usage_rows import MAX_CUSTOM_ID, LineBook
from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.parcel.result import Outcome, Result


@dataclass
class Ends:
    """Makes the end of one line."""

    parcel: Parcel
    line: int
    book: LineBook
    clock: Clock

    @property
    def _request_id(self) -> str:
        return self.parcel.request_id_of(self.line)

    def completed(self, call: Call, answer: Answer) -> Finished:
        line = success_line(self._request_id, call.custom_id, answer.body)
        return self._finished(call, Outcome.COMPLETED, line, status=200)

    def failed(self, call: Call, verdict: Verdict) -> Finished:
        line = failure_line(self._request_id, call.custom_id, verdict)
        status = status_of(verdict)
        return self._finished(call, Outcome.FAILED, line, status=status, code=verdict.code)

    def expired(self, call: Call) -> Finished:
        line = expired_line(self._request_id, call.custom_id)
        return self._finished(call, Outcome.EXPIRED, line, code="batch_expired")

    def cancelled(self, call: Call) -> Finished:
        code = "request_cancelled" if self.parcel.batch_id is None else "batch_cancelled"
        line = cancelled_line(self._request_id, call.custom_id, code)
        return self._finished(call, Outcome.CANCELLED, line, code=code)

    def _finished(
        self,
        call: Call,
        outcome: Outcome,
        line: bytes,
        *,
        status: int | None = None,
        code: str | None = None,
    ) -> Finished:
        result = Result(
            request_id=self.parcel.request_id_of(self.line),
            line=self.line,
            custom_id=call.custom_id[:MAX_CUSTOM_ID],
            outcome=outcome,
            status_code=status,
            error_code=code,
            model=self.parcel.model,
            provider=self.parcel.candidate.provider,
            attempts=self.parcel.attempt,
            calls=self.book.calls,
            tokens=self.book.tokens,
            cost_usd=self.book.cost_usd,
            created_at_ms=self.parcel.created_at_ms,
            finished_at_ms=self.clock.now_ms(),
        )
        return Finished(self.parcel, result, line)
