"""The record that carries results and their output lines. Pure."""

from collections.abc import Iterable

from crossdock.kernel.process.record import Outgoing
from crossdock_schemas.codec import encode_headers
from crossdock_schemas.parcel.parcel import join_lines
from crossdock_schemas.parcel.result import ResultGroup
from crossdock_schemas.topics import BATCH_RESULTS, RESULTS


def result_record(
    group: ResultGroup,
    lines: Iterable[bytes],
    *,
    source: str,
    now_ms: int,
    partition: int | None = None,
) -> Outgoing:
    """Return the record of `group`, with one output line for each result, on the topic of its kind."""
    topic = RESULTS if group.batch_id is None else BATCH_RESULTS
    first = group.results[0].request_id
    headers = encode_headers(topic, source, first, now_ms, group)
    key = (group.batch_id or first).encode()
    return Outgoing(topic.name, key, join_lines(lines), headers, partition)
