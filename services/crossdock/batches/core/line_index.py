"""The line index of a batch: per model, the position of each line in the input, and what it asks for at most.

26 bytes a line. It has no ids of end users, no demands on endpoints and no names of unknown fields: bits beside the
number of answers show that a line has them, and the line is read for them.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from crossdock_schemas.accounts.demands import Demands
from crossdock_schemas.pricing.worst_case import Ask

# the last field: the number of answers (MAX_CHOICES needs 11 bits), and in its highest bits whether the line is
# special, has demands on endpoints, names an end user, and may call tools
_ENTRY = struct.Struct("<IQIIIH")
_SPECIAL = 12
_DEMANDING = 13
_FOR_USER = 14
_TOOLS = 15
ENTRY_BYTES = _ENTRY.size
NOTHING = Ask(0, 0, 0)


class Span(NamedTuple):
    """A line: its number (0-based), its offset and length in bytes without the line's end, and what it asks for."""

    line: int
    offset: int
    length: int
    ask: Ask = NOTHING
    is_for_user: bool = False
    """It names an end user."""
    is_demanding: bool = False
    """It has demands on endpoints."""
    is_special: bool = False
    """It has unknown fields, or asks for what an entry has no room for."""
    user: str = ""
    """Known when the line was read."""
    demands: Demands | None = None
    """Known when the line was read."""
    unknown: tuple[str, ...] = ()
    """Known when the line was read."""

    @property
    def needs_reading(self) -> bool:
        """Return whether the line must be read for what its entry does not have."""
        return self.is_for_user or self.is_demanding or self.is_special


def pack(span: Span) -> bytes:
    inputs, outputs, choices, tools, *_ = span.ask
    bits = tools << _TOOLS | span.is_for_user << _FOR_USER | span.is_demanding << _DEMANDING
    bits |= span.is_special << _SPECIAL
    return _ENTRY.pack(span.line, span.offset, span.length, inputs, outputs, choices | bits)


def unpack(raw: bytes) -> list[Span]:
    return [
        Span(
            line,
            offset,
            length,
            Ask(inputs, outputs, marked % (1 << _SPECIAL), marked >> _TOOLS),
            bool(marked >> _FOR_USER & 1),
            bool(marked >> _DEMANDING & 1),
            bool(marked >> _SPECIAL & 1),
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
