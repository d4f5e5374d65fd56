"""The line index of a batch: per model, where each of its lines lies in the input, and what it asks for at most.

26 bytes a line. An end user's id is not in it: a bit beside the number of answers says that the line names one.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from crossdock_schemas.ask import Ask

# the last: how many answers (MAX_CHOICES needs 11 bits), and in the highest bits whether the line names an end user and
# whether it may call tools
_ENTRY = struct.Struct("<IQIIIH")
_FOR_USER = 14
_TOOLS = 15
ENTRY_BYTES = _ENTRY.size
NOTHING = Ask(0, 0, 0)


class Span(NamedTuple):
    """Line number (0-based), offset and length in bytes, without the line's end; what it asks for, and for whom."""

    line: int
    offset: int
    length: int
    ask: Ask = NOTHING
    is_for_user: bool = False
    """It names an end user."""
    user: str = ""
    """Who that is, once the line was read."""


def pack(span: Span) -> bytes:
    inputs, outputs, choices, tools = span.ask
    marked = choices | tools << _TOOLS | span.is_for_user << _FOR_USER
    return _ENTRY.pack(span.line, span.offset, span.length, inputs, outputs, marked)


def unpack(raw: bytes) -> list[Span]:
    return [
        Span(
            line,
            offset,
            length,
            Ask(inputs, outputs, marked % (1 << _FOR_USER), marked >> _TOOLS),
            bool(marked >> _FOR_USER & 1),
        )
        for line, offset, length, inputs, outputs, marked in _ENTRY.iter_unpack(raw)
    ]


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
