"""Reads lines by their index: neighbouring lines in one read, large ones left where they lie."""

import asyncio

from crossdock.batches.facts import LinesRead, ReadLines
from crossdock.batches.feeding import Line
from crossdock.batches.index import ENTRY_BYTES, Span, coalesce, index_path, unpack
from crossdock.batches.places import Place, Places
from crossdock.kernel.objects import Objects
from crossdock_schemas.parcel import MAX_INLINE_BYTES

GAP_BYTES = 65_536  # lines of another model in between are cheaper to read over than to seek past
READ_BYTES = 4_194_304


async def read_lines(objects: Objects, places: Places, wanted: ReadLines) -> LinesRead:
    """Return the lines that `wanted` names.

    Raises:
        StoreError: if the store refused.
    """
    index = await objects.get_range(
        index_path(wanted.batch_id, wanted.model_number),
        wanted.start * ENTRY_BYTES,
        wanted.count * ENTRY_BYTES,
    )
    lines: list[Line] = []
    for run in places.apart(unpack(index)):
        for spans in coalesce(run, gap=GAP_BYTES, limit=READ_BYTES):
            place = places.find(spans[0].offset)
            lines += await _read_group(objects, place, spans, whole=wanted.whole)
            await asyncio.sleep(0)
    return LinesRead(wanted.batch_id, wanted.model, wanted.start, tuple(lines))


async def _read_group(
    objects: Objects, place: Place, spans: list[Span], *, whole: bool
) -> list[Line]:
    if len(spans) == 1 and spans[0].length > MAX_INLINE_BYTES and not whole:
        return [(spans[0], None)]
    start = spans[0].offset
    length = spans[-1].offset + spans[-1].length - start
    data = await objects.get_range(place.path, place.start, length)
    return [(span, _inline(span, data, start, whole=whole)) for span in spans]


def _inline(span: Span, data: bytes, start: int, *, whole: bool) -> bytes | None:
    if span.length > MAX_INLINE_BYTES and not whole:
        return None
    return data[span.offset - start : span.offset - start + span.length]
