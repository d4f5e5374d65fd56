"""Multipart forms, whatever the cuts between the chunks."""

from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.ingress.openai.multipart import MAX_FIELDS_BYTES, Form, PartsParser, receive_form
from crossdock.ingress.values.errors import RefusedError
from crossdock.kernel.drivers.object_store import Objects, open_objects

KIND = 'multipart/form-data; boundary="b1"'


def make_body(content: bytes, purpose: bytes = b"batch", file_part: bytes = b"file") -> bytes:
    return (
        b'--b1\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n' + purpose + b"\r\n"
        b'--b1\r\nContent-Disposition: form-data; name="' + file_part + b'"; filename="a.jsonl"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n--b1--\r\n"
    )


async def cut(data: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def receive(objects: Objects, body: bytes, size: int = 7, limit: int = 1000) -> Form:
    return await receive_form(
        cut(body, size), KIND, objects, "there", file_part="file", limit=limit
    )


@given(st.binary(max_size=300), st.integers(1, 400))
async def test_the_file_arrives_whole(content: bytes, size: int) -> None:
    objects = open_objects("memory://")

    form = await receive(objects, make_body(content), size)

    assert await objects.get("there") == content
    assert (form.filename, form.size, form.fields) == (
        "a.jsonl",
        len(content),
        {"purpose": "batch"},
    )


async def test_a_file_at_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    objects = open_objects("memory://")
    await receive(objects, make_body(b"x" * 10), limit=10)
    await objects.delete("there")

    with pytest.raises(RefusedError) as caught:
        await receive(objects, make_body(b"x" * 11), limit=10)

    assert caught.value.status == 413
    assert await objects.head("there") is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(make_body(b"x")[:-8], 400, id="cut short"),
        pytest.param(make_body(b"x", file_part=b"data"), 400, id="no file"),
        pytest.param(b"nonsense", 400, id="no form"),
        pytest.param(make_body(b"x", purpose=b"y" * MAX_FIELDS_BYTES), 413, id="a large field"),
        pytest.param(make_body(b"x")[:-8] + b"\r\n" + make_body(b"y"), 400, id="two files"),
    ],
)
async def test_a_form_that_is_not_sound_leaves_nothing(body: bytes, status: int) -> None:
    objects = open_objects("memory://")

    with pytest.raises(RefusedError) as caught:
        await receive(objects, body, 4096)

    assert caught.value.status == status
    assert await objects.head("there") is None


@pytest.mark.parametrize("kind", ["", "application/json", "multipart/form-data"])
async def test_another_content_type_is_refused(kind: str) -> None:
    objects = open_objects("memory://")

    with pytest.raises(RefusedError):
        await receive_form(cut(b"x", 1), kind, objects, "there", file_part="file", limit=9)


@given(st.text(st.characters(max_codepoint=255), max_size=400), st.binary(max_size=400))
def test_any_other_form_is_refused_and_nothing_else_happens(media: str, raw: bytes) -> None:
    for kind in (
        media,
        f"multipart/form-data; boundary={media}",
        "multipart/form-data; boundary=b",
    ):
        with suppress(RefusedError):
            PartsParser(kind).feed(raw)
            PartsParser("multipart/form-data; boundary=b").feed(b"--b\r\n" + raw)


def test_a_boundary_of_more_than_256_characters_is_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        PartsParser(f"multipart/form-data; boundary={'b' * 300}")

    assert caught.value.status == 400
