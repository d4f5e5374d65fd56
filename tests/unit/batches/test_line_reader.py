"""Lines are read by their index: neighbours in one read, large ones left where they lie."""

from crossdock.batches.core.background_results import ReadLines
from crossdock.batches.core.line_check import CheckedLine, LineRules, check_line
from crossdock.batches.core.line_index import Span, index_path, pack
from crossdock.batches.core.line_locations import LineLocations
from crossdock.batches.line_reader import read_lines
from crossdock.kernel.drivers.object_store import Objects, open_objects
from crossdock_schemas.accounts.demands import Demands
from crossdock_schemas.parcel.parcel import MAX_INLINE_BYTES
from support.builders import BATCH, CHAT, make_line

LARGE = MAX_INLINE_BYTES + 1
INPUT = LineLocations("input", 0)


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


async def test_who_a_line_is_for_is_read_again_where_the_index_says_that_it_names_somebody() -> (
    None
):
    """Also of a large line, which is read for it although it goes by reference."""
    padding = [{"role": "user", "content": "x" * LARGE}]
    lines = [
        make_line(0, body={"model": "tern", "user": "alice"}),
        make_line(1, body={"model": "tern"}),
        make_line(2, body={"model": "tern", "safety_identifier": "böb", "messages": padding}),
    ]
    objects, spans, offset = open_objects("memory://"), list[Span](), 0
    for number, line in enumerate(lines):
        spans.append(Span(number, offset, len(line), is_for_user=number != 1))
        offset += len(line) + 1
    await objects.put("input", b"\n".join(lines))
    await objects.put(index_path(BATCH, 0), b"".join(map(pack, spans)))

    fact = await read_lines(objects, INPUT, wanted(0, 3))
    alone = await read_lines(objects, INPUT, wanted(2, 1))

    assert [span.user for span, _ in fact.lines] == ["alice", "", "böb"]
    assert [raw for _, raw in fact.lines] == [lines[0], lines[1], None]
    assert alone.lines == (fact.lines[2],)


async def test_what_a_line_demands_is_read_again_where_the_index_says_that_it_does() -> None:
    lines = [
        make_line(0, body={"model": "tern", "provider": {"zdr": True}}),
        make_line(1, body={"model": "tern"}),
    ]
    objects, offset, packed = open_objects("memory://"), 0, b""
    for number, line in enumerate(lines):
        packed += pack(Span(number, offset, len(line), is_demanding=number == 0))
        offset += len(line) + 1
    await objects.put("input", b"\n".join(lines))
    await objects.put(index_path(BATCH, 0), packed)

    fact = await read_lines(objects, INPUT, wanted(0, 2))

    assert [span.demands for span, _ in fact.lines] == [Demands(zdr=True), None]


async def test_a_special_line_is_read_again_for_its_ask_and_the_fields_that_nobody_knows() -> None:
    body = {
        "model": "tern",
        "messages": [{"role": "user", "content": "hi"}],
        "thinking": {"type": "enabled", "budget_tokens": 9},
        "store": True,
        "of_tomorrow": 1,
    }
    line = make_line(0, body=body)
    checked = check_line(line, 1, LineRules(CHAT, {"tern": frozenset({CHAT})}, 10_000))
    assert isinstance(checked, CheckedLine)
    span = Span(0, 0, len(line), checked.ask, is_special=checked.is_special)
    objects = open_objects("memory://")
    await objects.put("input", line)
    await objects.put(index_path(BATCH, 0), pack(span))

    fact = await read_lines(objects, INPUT, wanted(0, 1))

    ((found, _),) = fact.lines
    assert (found.ask, found.unknown) == (checked.ask, ("of_tomorrow",))
    assert (found.ask.extra, found.ask.kept) == (9, 1)
