"""A file's content as one run of bytes: one object, or the parts of a batch's output."""

import re
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from crossdock.ingress.values import errors
from crossdock.kernel.drivers.object_store import Objects
from crossdock_schemas.batches.batch import Part

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class Slice(NamedTuple):
    """Bytes [start, end) of an object."""

    path: str
    start: int
    end: int


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the [start, end) that a Range header asks for; None for the whole file, or if the header is ignored.

    Raises:
        RefusedError: 416 if no byte of it exists.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or not any(match.groups()):
        return None  # RFC 9110: a Range that is not understood is ignored
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= end:
        raise errors.bad_range(size)
    return start, end


def cut_parts(parts: Sequence[Part], start: int, end: int) -> list[Slice]:
    """Return the slices of `parts` that make bytes [start, end) of their concatenation."""
    slices = []
    at = 0
    for part in parts:
        first, last = max(start - at, 0), min(end - at, part.bytes)
        if first < last:
            slices.append(Slice(part.path, first, last))
        at += part.bytes
    return slices


def skip_parts(parts: Sequence[Part], lines: int) -> tuple[Sequence[Part], int]:
    """Return the parts after the first `lines` lines, and the number of lines to skip in the first of them."""
    for number, part in enumerate(parts):
        if lines < part.lines:
            return parts[number:], lines
        lines -= part.lines
    return (), 0


async def read_slices(objects: Objects, slices: Sequence[Slice]) -> AsyncIterator[bytes]:
    for piece in slices:
        async for chunk in objects.stream(piece.path, piece.start, piece.end):
            yield chunk


async def skip_lines(chunks: AsyncIterator[bytes], count: int) -> AsyncIterator[bytes]:
    """Yield `chunks` without their first `count` lines."""
    async for chunk in chunks:
        rest = chunk
        while count and rest:
            _, found, rest = rest.partition(b"\n")
            count -= 1 if found else 0
        if rest:
            yield rest
