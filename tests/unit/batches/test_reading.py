"""Lines are read by their index: neighbours in one read, large ones left where they lie."""

from crossdock.batches.facts import ReadLines
from crossdock.batches.index import Span, index_path, pack
from crossdock.batches.places import Places
from crossdock.batches.reading import read_lines
from crossdock.kernel.objects import Objects, open_objects
from crossdock_schemas.parcel import MAX_INLINE_BYTES
from support.builders import BATCH

LARGE = MAX_INLINE_BYTES + 1
INPUT = Places("input", 0)


async def make_store(lengths: list[int]) -> tuple[Objects, list[Span], bytes]:
    objects, spans, content = open_objects("memory://"), list[Span](), b""
    for number, length in enumerate(lengths):
        spans.append(Span(number, len(content), length))
        content += bytes([65 + number]) * length + b"\n"
    await objects.put("input", content)
    await objects.put(index_path(BATCH, 0), b"".join(map(pack, spans)))
    return objects, spans, content


def wanted(start: int, count: int, *, whole: bool = False) -> ReadLines:
    return ReadLines(BATCH, "tern", 0, start, count, whole)


async def test_the_lines_asked_for_come_with_their_places() -> None:
    objects, spans, _ = await make_store([3, 4, 5])

    fact = await read_lines(objects, INPUT, wanted(1, 2))

    assert fact.lines == ((spans[1], b"BBBB"), (spans[2], b"CCCCC"))
    assert (fact.start, fact.model) == (1, "tern")


async def test_a_large_line_stays_where_it_lies() -> None:
    objects, spans, _ = await make_store([3, LARGE, 5])

    fact = await read_lines(objects, INPUT, wanted(0, 3))
    alone = await read_lines(objects, INPUT, wanted(1, 1))

    assert fact.lines == ((spans[0], b"AAA"), (spans[1], None), (spans[2], b"CCCCC"))
    assert alone.lines == ((spans[1], None),)


async def test_a_large_line_is_brought_where_it_shall_end() -> None:
    objects, spans, _ = await make_store([LARGE])

    fact = await read_lines(objects, INPUT, wanted(0, 1, whole=True))

    assert fact.lines == ((spans[0], b"A" * LARGE),)
