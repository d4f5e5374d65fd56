"""The end of a line at a worker: its output line, and the sum of what its calls used."""

from dataclasses import dataclass

from crossdock.kernel.process.clock import Clock
from crossdock.provider.classify import Verdict
from crossdock.provider.publisher import Finished
from crossdock.provider.result_lines import error_body, status_of
from crossdock.provider.usage_rows import LineBook
from crossdock_schemas.ids import RequestId
from crossdock_schemas.parcel.output_line import RequestEnd, completed, failed, not_executed
from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.parcel.result import Outcome


@dataclass
class LineEnds:
    """Makes the end of one line."""

    parcel: Parcel
    line: int
    book: LineBook
    clock: Clock

    @property
    def _request_id(self) -> RequestId:
        return self.parcel.request_id_of(self.line)

    def completed(self, custom_id: str, body: bytes) -> Finished:
        return self._finished(completed(self._request_id, custom_id, body))

    def failed(self, custom_id: str, verdict: Verdict) -> Finished:
        status, body = status_of(verdict), error_body(verdict)
        return self._finished(failed(self._request_id, custom_id, status, verdict.code, body))

    def not_executed(self, custom_id: str, outcome: Outcome) -> Finished:
        """Return the end of a line that expired or was cancelled."""
        in_batch = self.parcel.batch_id is not None
        return self._finished(not_executed(self._request_id, custom_id, outcome, in_batch=in_batch))

    def _finished(self, end: RequestEnd) -> Finished:
        parcel, book = self.parcel, self.book
        result = end.result(
            self.line,
            parcel.model,
            parcel.created_at_ms,
            self.clock.now_ms(),
            provider=parcel.candidate.provider,
            attempts=parcel.attempt,
            calls=book.calls,
            tokens=book.tokens,
            cost_usd=book.cost_usd,
        )
        return Finished(parcel, result, end.line)
