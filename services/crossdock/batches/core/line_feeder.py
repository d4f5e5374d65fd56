"""Cuts lines into parcels, and ends lines that do not run. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from crossdock.batches.core.line_index import Span
from crossdock.batches.core.line_locations import locations_of
from crossdock.batches.core.state import ModelLines
from crossdock.kernel.process import grouping
from crossdock.kernel.process.record import Outgoing
from crossdock.kernel.requests.rejection import custom_id_of
from crossdock.kernel.requests.results import result_records
from crossdock_schemas.batches.batch import Batch
from crossdock_schemas.calls.cancel import Cancelled
from crossdock_schemas.codec import encode_headers
from crossdock_schemas.ids import BatchId, feed_parcel_id, line_request_id
from crossdock_schemas.parcel.new_parcel import new_parcel
from crossdock_schemas.parcel.output_line import not_executed
from crossdock_schemas.parcel.parcel import MAX_INLINE_BYTES, BodyRef, Lane, join_lines
from crossdock_schemas.parcel.result import Outcome
from crossdock_schemas.topics import CANCELS, REQUESTS

SOURCE = "crossdock/batches"
LAST_CALL_MS = 30_000  # before the end of a day's window; a tenth of a short window
Line = tuple[Span, bytes | None]


def cut(lines: Iterable[Line], *, parcel_lines: int) -> Iterator[list[Line]]:
    """Group lines into parcels of at most `parcel_lines` and MAX_INLINE_BYTES; a line by reference stands alone.

    Lines of one parcel have the same demands on endpoints, and the same unknown fields.
    """
    return grouping.cut(
        lines,
        lambda line: line[0].length + 1,
        max_bytes=MAX_INLINE_BYTES,
        max_count=parcel_lines,
        parts=_are_apart,
    )


def _are_apart(last: Line, line: Line) -> bool:
    is_alone = last[1] is None or line[1] is None
    return is_alone or _differ(last[0], line[0])


def _differ(one: Span, other: Span) -> bool:
    return one.demands != other.demands or one.unknown != other.unknown


def make_parcel(
    batch: Batch, model_lines: ModelLines, lines: Sequence[Line], now_ms: int, *, position: int
) -> Outgoing:
    """Return the parcel of `lines`, which begin at `position` of a model's index."""
    first = lines[0][0]
    numbers = tuple(span.line for span, _ in lines)
    bodies = [raw for _, raw in lines if raw is not None]
    reference = None
    if not bodies and batch.input_path is not None:
        place = locations_of(batch).find(first.offset)
        reference = BodyRef(path=place.path, start=place.start, length=first.length)
    parcel = new_parcel(
        batch,
        parcel_id=feed_parcel_id(batch.batch_id, first.line, model_lines.again),
        lane=Lane.BATCH,
        operation=batch.operation,
        model=model_lines.model,
        lines=numbers,
        batch_id=batch.batch_id,
        asks=[span.ask for span, _ in lines],
        users=[span.user for span, _ in lines],
        tags=batch.metadata or {},
        demands=first.demands,
        unknown=first.unknown,
        created_at_ms=now_ms,
        deadline_ms=batch.expires_at_ms,
        start_before_ms=start_before_ms(batch),
        input_bytes=sum(span.length for span, _ in lines),
        body_ref=reference,
        repeats={n: model_lines.repeats.pop(n) for n in numbers if n in model_lines.repeats},
        position=position,
        behind=model_lines.behind,
    )
    return Outgoing(
        REQUESTS.name,
        parcel.account.encode(),
        join_lines(bodies),
        encode_headers(REQUESTS, SOURCE, parcel.parcel_id, now_ms, parcel),
    )


def start_before_ms(batch: Batch) -> int:
    """Return when the last call may begin: a call that the deadline cuts off costs money for nothing."""
    window_ms = batch.expires_at_ms - batch.created_at_ms
    return batch.expires_at_ms - min(LAST_CALL_MS, window_ms // 10)


def make_cancel(batch_id: BatchId, now_ms: int) -> Outgoing:
    """Return the record that stops workers from making calls for a batch."""
    cancelled = Cancelled(id=batch_id, at_ms=now_ms)
    headers = encode_headers(CANCELS, SOURCE, batch_id, now_ms, None)
    return Outgoing(CANCELS.name, batch_id.encode(), cancelled.to_json(), headers)


def end_lines(
    batch: Batch,
    model: str,
    lines: Sequence[Line],
    outcome: Outcome,
    *,
    partition: int,
    now_ms: int,
) -> list[Outgoing]:
    """Return the results of lines that end without a call."""
    ends = []
    for span, raw in lines:
        request_id = line_request_id(batch.batch_id, span.line)
        end = not_executed(request_id, custom_id_of(raw or b""), outcome, in_batch=True)
        ends.append((end.result(span.line, model, now_ms, now_ms), end.line))
    return result_records(
        batch, Lane.BATCH, ends, source=SOURCE, now_ms=now_ms, partition=partition
    )
