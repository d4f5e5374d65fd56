"""Cuts lines into parcels, and ends lines that shall not run. Pure."""

import json
from collections.abc import Iterable, Iterator, Sequence

from pydantic_core import from_json

from crossdock.batches.core.line_index import Span
from crossdock.batches.core.line_locations import places_of
from crossdock.batches.core.state import Share
from crossdock.kernel.process.record import Outgoing
from crossdock_schemas.batches.batch import Batch
from crossdock_schemas.calls.cancel import Cancelled
from crossdock_schemas.codec import encode_headers
from crossdock_schemas.ids import BatchId, feed_parcel_id, line_request_id
from crossdock_schemas.parcel.parcel import MAX_INLINE_BYTES, BodyRef, Lane, Parcel, join_lines
from crossdock_schemas.parcel.result import Outcome, Result, ResultGroup
from crossdock_schemas.topics import BATCH_RESULTS, CANCELS, REQUESTS

SOURCE = "crossdock/batches"
LAST_CALL_MS = 30_000  # before the end of a window of a day; a tenth of a short one
Line = tuple[Span, bytes | None]


def cut(lines: Iterable[Line], *, parcel_lines: int) -> Iterator[list[Line]]:
    """Group lines into parcels: at most `parcel_lines` and MAX_INLINE_BYTES each; one by reference stands alone.

    Lines of a parcel demand the same of endpoints.
    """
    group: list[Line] = []
    size = 0
    for line in lines:
        length = line[0].length + 1
        alone = line[1] is None
        is_full = len(group) == parcel_lines or size + length > MAX_INLINE_BYTES
        if group and (alone or is_full or line[0].demands != group[0][0].demands):
            yield group
            group, size = [], 0
        group.append(line)
        size += length
        if alone:
            yield group
            group, size = [], 0
    if group:
        yield group


def make_parcel(
    batch: Batch, share: Share, lines: Sequence[Line], now_ms: int, *, position: int
) -> Outgoing:
    """Return the record that sends `lines` of `share`, from its `position` on, on their way."""
    first = lines[0][0]
    numbers = tuple(span.line for span, _ in lines)
    bodies = [raw for _, raw in lines if raw is not None]
    users = tuple(span.user for span, _ in lines)
    reference = None
    if not bodies and batch.input_path is not None:
        place = places_of(batch).find(first.offset)
        reference = BodyRef(path=place.path, start=place.start, length=first.length)
    parcel = Parcel.model_construct(
        parcel_id=feed_parcel_id(batch.batch_id, first.line, share.again),
        account=batch.account,
        project=batch.project,
        key_id=batch.key_id,
        lane=Lane.BATCH,
        operation=batch.operation,
        model=share.model,
        lines=numbers,
        batch_id=batch.batch_id,
        request_id=None,
        created_at_ms=now_ms,
        deadline_ms=batch.expires_at_ms,
        start_before_ms=start_before_ms(batch),
        due_ms=None,
        repeats={n: share.repeats.pop(n) for n in numbers if n in share.repeats},
        input_bytes=sum(span.length for span, _ in lines),
        input_most=tuple(span.ask.input for span, _ in lines),
        output_most=tuple(span.ask.output for span, _ in lines),
        choices=tuple(span.ask.choices for span, _ in lines),
        tools=_marked(tuple(span.ask.tools for span, _ in lines)),
        users=users if any(users) else (),
        demands=first.demands,
        tags=batch.metadata or {},
        position=position,
        behind=share.behind,
        hold=None,
        attempt=1,
        body_ref=reference,
        plan=None,
    )
    return Outgoing(
        REQUESTS.name,
        parcel.account.encode(),
        join_lines(bodies),
        encode_headers(REQUESTS, SOURCE, parcel.parcel_id, now_ms, parcel),
    )


def _marked(tools: tuple[int, ...]) -> tuple[int, ...]:
    return tools if any(tools) else ()


def start_before_ms(batch: Batch) -> int:
    """Return when the last call may begin: one that the deadline would cut off is paid for and brings nothing."""
    window_ms = batch.expires_at_ms - batch.created_at_ms
    return batch.expires_at_ms - min(LAST_CALL_MS, window_ms // 10)


def make_cancel(batch_id: BatchId, now_ms: int) -> Outgoing:
    """Return the record that keeps workers from calling what of a batch is on its way."""
    cancelled = Cancelled(id=batch_id, at_ms=now_ms)
    headers = encode_headers(CANCELS, SOURCE, batch_id, now_ms, None)
    return Outgoing(CANCELS.name, batch_id.encode(), cancelled.to_json(), headers)


_ENDINGS = {
    Outcome.EXPIRED: (
        "batch_expired",
        "This request could not be executed before the completion window expired.",
    ),
    Outcome.CANCELLED: (
        "batch_cancelled",
        "This request was not executed because the batch was cancelled.",
    ),
}


def end_lines(
    batch: Batch,
    model: str,
    lines: Sequence[Line],
    outcome: Outcome,
    *,
    partition: int,
    now_ms: int,
) -> Outgoing:
    """Return the results of lines that end without a call."""
    code, message = _ENDINGS[outcome]
    results, outputs = [], []
    for span, raw in lines:
        request_id = line_request_id(batch.batch_id, span.line)
        custom_id = "" if raw is None else str(from_json(raw)["custom_id"])
        error = {"code": code, "message": message}
        output = {"id": request_id, "custom_id": custom_id, "response": None, "error": error}
        outputs.append(json.dumps(output, separators=(",", ":")).encode())
        results.append(
            Result(
                request_id=request_id,
                line=span.line,
                custom_id=custom_id,
                outcome=outcome,
                error_code=code,
                model=model,
                created_at_ms=now_ms,
                finished_at_ms=now_ms,
            )
        )
    group = ResultGroup(
        account=batch.account,
        project=batch.project,
        key_id=batch.key_id,
        lane=Lane.BATCH,
        operation=batch.operation,
        batch_id=batch.batch_id,
        results=tuple(results),
    )
    headers = encode_headers(BATCH_RESULTS, SOURCE, results[0].request_id, now_ms, group)
    key = batch.batch_id.encode()
    return Outgoing(BATCH_RESULTS.name, key, b"\n".join(outputs), headers, partition)
