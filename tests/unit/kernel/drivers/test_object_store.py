"""The object store's door, on memory and on a local folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from crossdock.kernel.drivers.object_store import PIECE_BYTES, Objects, open_objects
from crossdock.kernel.process.errors import NoSuchObjectError, SettingsError, StoreError


@pytest.fixture(params=["memory", "folder", "folder with spaces"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    if request.param == "memory":
        return open_objects("memory://")
    return open_objects((tmp_path / request.param / "below").as_uri())


async def collect(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def test_what_was_put_is_got(objects: Objects) -> None:
    await objects.put("a/b", b"hello")

    assert await objects.get("a/b") == b"hello"
    assert await objects.head("a/b") == 5


async def test_a_second_put_replaces_the_first(objects: Objects) -> None:
    await objects.put("a", b"one")
    await objects.put("a", b"two!")

    assert await objects.get("a") == b"two!"


async def test_of_two_creations_the_first_wins(objects: Objects) -> None:
    assert await objects.create("a", b"one")
    assert not await objects.create("a", b"two")

    assert await objects.get("a") == b"one"


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [(0, 5, b"hello"), (1, 3, b"ell"), (3, 9, b"lo"), (5, 1, b""), (9, 1, b""), (2, 0, b"")],
)
async def test_a_range_ends_where_the_object_ends(
    objects: Objects, start: int, length: int, expected: bytes
) -> None:
    await objects.put("a", b"hello")

    assert await objects.get_range("a", start, length) == expected


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, None, b"hello"), (2, None, b"llo"), (1, 3, b"el"), (5, None, b""), (0, 99, b"hello")],
)
async def test_a_stream_may_be_a_slice(
    objects: Objects, start: int, end: int | None, expected: bytes
) -> None:
    await objects.put("a", b"hello")

    assert await collect(objects.stream("a", start, end)) == expected


async def test_an_empty_object_is_an_object(objects: Objects) -> None:
    await objects.put("a", b"")

    assert await objects.head("a") == 0
    assert await objects.get("a") == b""
    assert await collect(objects.stream("a")) == b""


async def test_a_large_stream_arrives_whole(objects: Objects) -> None:
    pieces = [bytes([n]) * (PIECE_BYTES // 3) for n in range(8)]

    async def chunks() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    size = await objects.put_stream("large", chunks())

    assert size == sum(map(len, pieces)) == await objects.head("large")
    assert await collect(objects.stream("large")) == b"".join(pieces)


@pytest.mark.parametrize("size", [10, PIECE_BYTES * 3 + 1])
async def test_a_writer_that_fails_leaves_nothing(objects: Objects, size: int) -> None:
    with pytest.raises(KeyError):
        await fail_after(objects, size)

    assert await objects.head("x/broken") is None
    assert [path async for path in objects.list("x")] == []


async def test_a_failed_writer_leaves_no_file_in_the_folder(tmp_path: Path) -> None:
    objects = open_objects(tmp_path.as_uri())
    with pytest.raises(KeyError):
        await fail_after(objects, PIECE_BYTES * 3)

    assert files_below(tmp_path) == []


async def fail_after(objects: Objects, size: int) -> None:
    async with objects.writer("x/broken") as writer:
        await writer.write(b"x" * size)
        raise KeyError


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_a_missing_object_is_told_apart(objects: Objects) -> None:
    assert await objects.head("no") is None
    await objects.delete("no")
    with pytest.raises(NoSuchObjectError):
        await objects.get("no")
    with pytest.raises(NoSuchObjectError):
        await objects.get_range("no", 0, 1)
    with pytest.raises(NoSuchObjectError):
        await collect(objects.stream("no"))


async def test_a_deleted_object_is_gone(objects: Objects) -> None:
    await objects.put("a", b"x")

    await objects.delete("a")

    assert await objects.head("a") is None


async def test_a_list_holds_everything_below_a_folder(objects: Objects) -> None:
    for path in ("a/1", "a/b/2", "ab/3"):
        await objects.put(path, b"x")

    assert sorted([path async for path in objects.list("a")]) == ["a/1", "a/b/2"]
    assert [path async for path in objects.list("nothing")] == []


async def test_a_path_out_of_the_store_is_refused(objects: Objects) -> None:
    with pytest.raises(StoreError):
        await objects.put("../outside", b"x")


@pytest.mark.parametrize("url", ["", "ftp://there/x", "just/a/path"])
def test_an_address_that_names_no_store_is_a_settings_error(url: str) -> None:
    with pytest.raises(SettingsError, match="CROSSDOCK_OBJECTS_URL"):
        open_objects(url)
