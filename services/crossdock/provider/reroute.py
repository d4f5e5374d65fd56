"""Sends lines on: to the next candidate, to another worker, to admission, or to a topic of delayed retries."""

from collections.abc import Sequence

import structlog

from crossdock.kernel.process.record import Outgoing, Record
from crossdock.provider.onward_line import OnwardLine
from crossdock.provider.publisher import SOURCE
from crossdock_schemas.codec import encode_headers
from crossdock_schemas.ids import fallback_parcel_id, repeat_parcel_id
from crossdock_schemas.parcel.parcel import Parcel, join_lines
from crossdock_schemas.topics import DISPATCH, LATER, REQUESTS, dispatch_topic, later_topic

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_DELAY_MS = {topic.name: delay_ms for delay_ms, topic in LATER.items()}


def make_onward(parcel: Parcel, ends: Sequence[OnwardLine], now_ms: int) -> list[Outgoing]:
    """Return the parcels in which the lines of `ends` continue; lines that continue alike share one."""
    alike: dict[tuple[int, ...], list[OnwardLine]] = {}
    for number, end in enumerate(ends):
        run = parcel.slot_of(end.line) - number if end.is_readmission else -1
        is_delayed = end.due_ms is not None
        way = (
            end.attempt,
            end.calls_made,
            end.calls_lost,
            is_delayed,
            end.is_lost,
            end.is_replanned,
            run,
        )
        alike.setdefault(way, []).append(end)
    return [_onward(parcel, group, now_ms) for group in alike.values()]


def _onward(parcel: Parcel, ends: Sequence[OnwardLine], now_ms: int) -> Outgoing:
    first = ends[0]
    due_ms = max((end.due_ms for end in ends if end.due_ms is not None), default=None)
    onward = parcel.part(
        [end.line for end in ends],
        parcel_id=fallback_parcel_id(parcel.parcel_id, first.attempt, first.line),
        attempt=first.attempt,
        calls_made=first.calls_made,
        calls_lost=first.calls_lost,
        input_bytes=sum(len(end.raw) for end in ends),
        due_ms=due_ms,
        repeats={end.line: end.repeat_of for end in ends if end.repeat_of is not None},
    )
    value = b"" if parcel.body_ref else join_lines([end.raw for end in ends])
    if first.is_readmission:
        asking = _asking(parcel, onward, is_lost=first.is_lost)
        if first.is_replanned:
            asking = asking.model_copy(update={"plan": None})
        headers = encode_headers(REQUESTS, SOURCE, asking.parcel_id, now_ms, asking)
        sent = Outgoing(REQUESTS.name, asking.account.encode(), value, headers)
    else:
        sent = forward(onward, value, now_ms)
    event = _event(parcel, first)
    log.info(event, parcel_id=onward.parcel_id, lines=len(ends), topic=sent.topic, due_ms=due_ms)
    return sent


def _event(parcel: Parcel, end: OnwardLine) -> str:
    if end.is_readmission:
        return "parcel.to_be_admitted"
    if end.due_ms is not None:
        return "parcel.delayed"
    return "parcel.handed_back" if end.attempt == parcel.attempt else "parcel.fell_back"


def _asking(parcel: Parcel, onward: Parcel, *, is_lost: bool) -> Parcel:
    """Return the parcel that asks for a new hold. Its lines are consecutive, as in every parcel of a batch."""
    first, position = onward.lines[0], parcel.position
    return onward.model_copy(
        update={
            "parcel_id": repeat_parcel_id(
                parcel.parcel_id, onward.calls_made, first, is_lost=is_lost
            ),
            "position": None if position is None else position + parcel.slot_of(first),
            "hold": None,
        }
    )


def ready_ms(record: Record) -> int:
    """Return the time at which a delayed record continues, in unix ms."""
    return record.timestamp_ms + _DELAY_MS.get(record.topic, 0)


def forward(parcel: Parcel, value: bytes | None, now_ms: int) -> Outgoing:
    """Return the record for the longest delay that fits into the wait; the pool waits for the last 5 s itself.

    Raises:
        ValueError, IndexError: if its plan has no candidate for it.
    """
    later = None if parcel.due_ms is None else later_topic(parcel.due_ms - now_ms)
    topic = dispatch_topic(parcel.candidate.provider, parcel.lane) if later is None else later.name
    headers = encode_headers(later or DISPATCH, SOURCE, parcel.parcel_id, now_ms, parcel)
    return Outgoing(topic, parcel.parcel_id.encode(), value, headers)
