"""Lines that leave a worker: to the next candidate, to other hands, or to a topic that holds them for a while."""

from collections.abc import Sequence

import structlog

from crossdock.kernel.record import Outgoing, Record
from crossdock.provider.attempt import Onward
from crossdock.provider.publish import SOURCE
from crossdock_schemas.codec import decode_envelope, encode_headers
from crossdock_schemas.ids import fallback_parcel_id
from crossdock_schemas.parcel import Parcel, join_lines
from crossdock_schemas.topics import DISPATCH, LATER, dispatch_topic, later_topic

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_DELAY_MS = {topic.name: delay_ms for delay_ms, topic in LATER.items()}


def make_onward(parcel: Parcel, ends: Sequence[Onward], now_ms: int) -> list[Outgoing]:
    """Return the parcels in which the lines of `ends` go on: those that go the same way go together."""
    alike: dict[tuple[int, int, bool], list[Onward]] = {}
    for end in ends:
        alike.setdefault((end.attempt, end.calls_made, end.due_ms is not None), []).append(end)
    return [_onward(parcel, group, now_ms) for group in alike.values()]


def _onward(parcel: Parcel, ends: Sequence[Onward], now_ms: int) -> Outgoing:
    attempt = ends[0].attempt
    due_ms = max((end.due_ms for end in ends if end.due_ms is not None), default=None)
    onward = parcel.model_copy(
        update={
            "parcel_id": fallback_parcel_id(parcel.parcel_id, attempt, ends[0].line),
            "lines": tuple(end.line for end in ends),
            "attempt": attempt,
            "calls_made": ends[0].calls_made,
            "input_bytes": sum(len(end.raw) for end in ends),
            "due_ms": due_ms,
            "repeats": {end.line: end.repeat_of for end in ends if end.repeat_of is not None},
        }
    )
    value = b"" if parcel.body_ref else join_lines([end.raw for end in ends])
    if due_ms is not None:
        event = "parcel.delayed"
    else:
        event = "parcel.handed_back" if attempt == parcel.attempt else "parcel.fell_back"
    sent = _send(onward, value, now_ms)
    log.info(event, parcel_id=onward.parcel_id, lines=len(ends), topic=sent.topic, due_ms=due_ms)
    return sent


def ready_ms(record: Record) -> int:
    """Return when a delayed record shall go on, in unix ms."""
    return record.timestamp_ms + _DELAY_MS.get(record.topic, 0)


def forward(record: Record, now_ms: int) -> Outgoing:
    """Return a delayed record on its way: to its workers, or to spend what is left of its wait.

    Raises:
        MissingEnvelopeError, ValueError: if it is no parcel with a plan.
    """
    return _send(decode_envelope(record.headers, Parcel), record.value, now_ms)


def _send(parcel: Parcel, value: bytes | None, now_ms: int) -> Outgoing:
    """A wait is spent in ever shorter pieces; what is left in the end, under 5 s, is spent in the pool."""
    later = None if parcel.due_ms is None else later_topic(parcel.due_ms - now_ms)
    topic = dispatch_topic(parcel.candidate.provider, parcel.lane) if later is None else later.name
    headers = encode_headers(later or DISPATCH, SOURCE, parcel.parcel_id, now_ms, parcel)
    return Outgoing(topic, parcel.parcel_id.encode(), value, headers)
