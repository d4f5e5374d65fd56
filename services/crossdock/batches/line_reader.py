"""Reads lines by their index: neighbouring lines in one read; large ones stay in the object store."""

import asyncio
from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json

from crossdock.batches.core.background_results import LinesRead, ReadLines
from crossdock.batches.core.line_feeder import Line
from crossdock.batches.core.line_index import ENTRY_BYTES, Span, coalesce, index_path, unpack
from crossdock.batches.core.line_locations import LineLocations, ObjectPosition
from crossdock.kernel.drivers.object_store import Objects
from crossdock.kernel.requests.body_check import check_fields
from crossdock_schemas.accounts.attribution import user_of
from crossdock_schemas.accounts.demands import read_demands
from crossdock_schemas.operations import SPECS
from crossdock_schemas.parcel.parcel import MAX_INLINE_BYTES
from crossdock_schemas.pricing.field_types import Unsound

GAP_BYTES = 65_536  # lines of another model in between are cheaper to read than to skip
READ_BYTES = 4_194_304


async def read_lines(objects: Objects, locations: LineLocations, wanted: ReadLines) -> LinesRead:
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
    for run in locations.runs(unpack(index)):
        for spans in coalesce(run, gap=GAP_BYTES, limit=READ_BYTES):
            place = locations.find(spans[0].offset)
            lines += await _read_group(objects, place, spans, whole=wanted.whole)
            await asyncio.sleep(0)
    return LinesRead(wanted.batch_id, wanted.model, wanted.start, tuple(lines))


async def _read_group(
    objects: Objects, place: ObjectPosition, spans: list[Span], *, whole: bool
) -> list[Line]:
    if _goes_by_reference(spans[0], whole=whole) and len(spans) == 1 and not spans[0].needs_reading:
        return [(spans[0], None)]
    start = spans[0].offset
    length = spans[-1].offset + spans[-1].length - start
    data = await objects.get_range(place.path, place.start, length)
    return [_line(span, data, start, whole=whole) for span in spans]


def _goes_by_reference(span: Span, *, whole: bool) -> bool:
    return span.length > MAX_INLINE_BYTES and not whole


def _line(span: Span, data: bytes, start: int, *, whole: bool) -> Line:
    raw = data[span.offset - start : span.offset - start + span.length]
    if span.needs_reading:
        line = from_json(raw)
        span = _filled(span, line["body"], line["url"])
    return (span, None if _goes_by_reference(span, whole=whole) else raw)


def _filled(span: Span, body: Mapping[str, Any], operation: str) -> Span:
    """Return `span` with what its entry does not have. The line passed validation, so nothing is unsound."""
    demands = read_demands(body)
    sound = None if isinstance(demands, Unsound) else demands
    span = span._replace(user=user_of(body), demands=sound)
    if not span.is_special:
        return span
    unknown = check_fields(body, operation)
    names = () if isinstance(unknown, Unsound) else unknown
    return span._replace(ask=SPECS[operation].ask(body, span.length), unknown=names)
