"""The records that carry results and their output lines. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from crossdock.kernel.process.grouping import cut
from crossdock.kernel.process.record import Outgoing
from crossdock_schemas.codec import ENVELOPE, encode_headers
from crossdock_schemas.message import fill_last
from crossdock_schemas.parcel.parcel import Lane, join_lines
from crossdock_schemas.parcel.result import Result, ResultOwner, result_group
from crossdock_schemas.topics import BATCH_RESULTS, RESULTS

MAX_COUNT = 500  # of a record
MAX_BYTES = 524_288  # of a record's results and lines; one alone takes half of it at most


class _EncodedResult(NamedTuple):
    result: Result
    raw: bytes
    line: bytes


def result_records(
    owner: ResultOwner,
    lane: Lane,
    ends: Iterable[tuple[Result, bytes]],
    *,
    source: str,
    now_ms: int,
    partition: int | None = None,
) -> list[Outgoing]:
    """Return the records of the results of `owner`, each with its output line, on the topic of their kind."""
    empty = result_group(owner, lane, ()).to_json()
    topic = RESULTS if owner.batch_id is None else BATCH_RESULTS
    encoded = (_EncodedResult(result, result.to_json(), line) for result, line in ends)
    records = []
    for group in cut(encoded, _size, max_bytes=MAX_BYTES, max_count=MAX_COUNT):
        first = group[0].result.request_id
        headers = encode_headers(topic, source, first, now_ms, None)
        headers.append((ENVELOPE, fill_last(empty, (end.raw for end in group))))
        key, value = (owner.batch_id or first).encode(), join_lines(end.line for end in group)
        records.append(Outgoing(topic.name, key, value, headers, partition))
    return records


def _size(end: _EncodedResult) -> int:
    return len(end.raw) + len(end.line) + 2
