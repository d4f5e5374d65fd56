"""The line index of a batch: per model, where each of its lines lies in the input. 16 bytes a line."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

_ENTRY = struct.Struct("<IQI")
ENTRY_BYTES = _ENTRY.size


class Span(NamedTuple):
    """Line number (0-based), offset and length in bytes, without the line's end."""

    line: int
    offset: int
    length: int


def pack(span: Span) -> bytes:
    return _ENTRY.pack(*span)


def unpack(raw: bytes) -> list[Span]:
    return [Span(*entry) for entry in _ENTRY.iter_unpack(raw)]


def index_path(batch_id: str, model_number: int) -> str:
    return f"batches/{batch_id}/index/{model_number}"


def coalesce(spans: list[Span], *, gap: int, limit: int) -> Iterator[list[Span]]:
    """Group neighbouring spans that one read can fetch: at most `gap` bytes between two, `limit` bytes in all."""
    group: list[Span] = []
    for span in spans:
        if group:
            end = group[-1].offset + group[-1].length
            if span.offset - end > gap or span.offset + span.length - group[0].offset > limit:
                yield group
                group = []
        group.append(span)
    if group:
        yield group
