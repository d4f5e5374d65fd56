"""An input is read once, in flat memory, and everything that is wrong with it is told with its line's number."""

import json
from collections.abc import AsyncIterator

import pytest
from typing_extensions import override

from crossdock.batches.core.background_results import Rejected, Validated
from crossdock.batches.core.line_check import LineRules
from crossdock.batches.core.line_index import index_path, unpack
from crossdock.batches.validation import MAX_ERRORS, InputLimits, validate
from crossdock.kernel.drivers.object_store import Objects, open_objects
from crossdock_schemas.batches.batch import LineError
from support.builders import BATCH, CHAT, make_batch, make_line

MODELS = {"tern": frozenset({CHAT}), "gull": frozenset({CHAT})}
RULES = LineRules(CHAT, MODELS, 2000)
LIMITS = InputLimits(max_lines=5000, max_file_bytes=2_000_000)


class SmallChunks(Objects):
    """A store that gives a few bytes at a time, so that lines lie across chunks."""

    def __init__(self, inner: Objects, chunk_bytes: int) -> None:
        super().__init__(inner._store)
        self._chunk_bytes = chunk_bytes

    @override
    async def stream(
        self, path: str, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        async for chunk in super().stream(path, start, end):
            for at in range(0, len(chunk), self._chunk_bytes):
                yield chunk[at : at + self._chunk_bytes]


async def check(
    content: bytes, *, chunk_bytes: int = 64, limits: InputLimits = LIMITS
) -> tuple[Validated | Rejected, Objects]:
    objects = SmallChunks(open_objects("memory://"), chunk_bytes)
    await objects.put("input", content)
    return await validate(objects, make_batch(), RULES, limits), objects


async def errors_of(content: bytes, *, limits: InputLimits = LIMITS) -> list[LineError]:
    found, _ = await check(content, limits=limits)
    assert isinstance(found, Rejected)
    return list(found.errors)


async def indexed(objects: Objects, content: bytes, models: int) -> list[list[bytes]]:
    """Return the lines that each model's index points at."""
    found = []
    for number in range(models):
        spans = unpack(await objects.get(index_path(BATCH, number)))
        found.append([content[span.offset : span.offset + span.length] for span in spans])
    return found


@pytest.mark.parametrize("chunk_bytes", [1, 7, 100_000])
async def test_a_sound_input_leaves_an_index_per_model(chunk_bytes: int) -> None:
    lines = [make_line(n, model=("tern", "gull")[n % 2]) for n in range(5)]
    content = b"\n".join(lines) + b"\n"

    found, objects = await check(content, chunk_bytes=chunk_bytes)

    assert found == Validated(BATCH, (("tern", 3), ("gull", 2)))
    assert await indexed(objects, content, 2) == [lines[0::2], lines[1::2]]


@pytest.mark.parametrize(
    "content",
    [
        make_line(0) + b"\n" + make_line(1),
        make_line(0) + b"\r\n" + make_line(1) + b"\r\n",
        b"\xef\xbb\xbf" + make_line(0) + b"\n" + make_line(1) + b"\n",
        b"\n\n" + make_line(0) + b"\n   \n" + make_line(1) + b"\n\n",
    ],
    ids=["no newline at the end", "CRLF", "byte order mark", "blank lines"],
)
@pytest.mark.parametrize("chunk_bytes", [3, 100_000])
async def test_line_ends_of_every_kind_are_read(content: bytes, chunk_bytes: int) -> None:
    found, objects = await check(content, chunk_bytes=chunk_bytes)

    assert found == Validated(BATCH, (("tern", 2),))
    assert await indexed(objects, content, 1) == [[make_line(0), make_line(1)]]


async def test_a_line_keeps_its_number_behind_blank_ones() -> None:
    (error,) = await errors_of(make_line(0) + b"\n\n\n{\n")

    assert (error.code, error.line) == ("invalid_json_line", 4)


@pytest.mark.parametrize("content", [b"", b"\n\n  \n", b"\xef\xbb\xbf"])
async def test_an_empty_file_is_an_error(content: bytes) -> None:
    (error,) = await errors_of(content)

    assert (error.code, error.line) == ("empty_file", None)


async def test_every_bad_line_is_told() -> None:
    bad = [make_line(0), b"{", make_line(1, method="GET"), make_line(2), make_line(3, model="no")]

    errors = await errors_of(b"\n".join(bad))

    assert [(e.line, e.code) for e in errors] == [
        (2, "invalid_json_line"),
        (3, "invalid_method"),
        (5, "model_not_found"),
    ]


async def test_no_more_than_a_thousand_errors_are_told() -> None:
    errors = await errors_of(b"{\n" * (MAX_ERRORS + 500))

    assert len(errors) == MAX_ERRORS
    assert [e.line for e in errors] == list(range(1, MAX_ERRORS + 1))


async def test_an_id_on_the_first_and_the_last_line_is_a_duplicate() -> None:
    lines = [make_line(n) for n in range(100)] + [make_line(0)]

    (error,) = await errors_of(b"\n".join(lines))

    assert (error.code, error.line, error.param) == ("duplicate_custom_id", 101, "custom_id")
    assert "'line-0'" in error.message
    assert "line 1" in error.message


async def test_each_repeat_is_told_with_the_first() -> None:
    errors = await errors_of(b"\n".join([make_line(0)] * 3))

    assert [e.line for e in errors] == [2, 3]


@pytest.mark.parametrize(("count", "is_sound"), [(10, True), (11, False)])
async def test_the_limit_of_lines_holds_to_the_line(count: int, *, is_sound: bool) -> None:
    content = b"\n".join(make_line(n) for n in range(count))

    found, _ = await check(content, limits=InputLimits(10, 1_000_000))

    assert isinstance(found, Validated) is is_sound
    if isinstance(found, Rejected):
        (error,) = found.errors
        assert error.code == "too_many_tasks"
        assert "10" in error.message


async def test_a_file_above_the_limit_is_not_read() -> None:
    content = make_line(0)

    (error,) = await errors_of(content, limits=InputLimits(10, len(content) - 1))

    assert error.code == "file_too_large"


async def test_a_line_without_end_is_told_before_it_is_held() -> None:
    content = make_line(0) + b"\n" + b"x" * 1_000_000

    (error,) = await errors_of(content)

    assert (error.code, error.line) == ("line_too_long", 2)


async def test_an_input_that_is_not_there_is_an_error_of_the_batch() -> None:
    objects = open_objects("memory://")

    gone = await validate(objects, make_batch(), RULES, LIMITS)
    never = await validate(objects, make_batch(input_path=None), RULES, LIMITS)

    assert isinstance(gone, Rejected)
    assert gone == never
    assert (gone.errors[0].code, gone.errors[0].param) == ("invalid_request", "file_id")
    assert "file-1" in gone.errors[0].message


async def test_a_prompt_in_any_script_is_one_line() -> None:
    text = "日本語 \u2028 \x85 🙂"
    line = json.loads(make_line(0))
    line["body"]["messages"][0]["content"] = text
    content = json.dumps(line, ensure_ascii=False).encode()

    found, objects = await check(content, chunk_bytes=5)

    assert found == Validated(BATCH, (("tern", 1),))
    assert await indexed(objects, content, 1) == [[content]]
