"""Contents made of parts."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.ingress.openai.byte_ranges import cut_parts, parse_range, skip_lines, skip_parts
from crossdock.ingress.values.errors import RefusedError
from crossdock_schemas.batches.batch import Part


def make_parts(contents: list[bytes]) -> list[Part]:
    return [
        Part(path=str(number), bytes=len(data), lines=data.count(b"\n"))
        for number, data in enumerate(contents)
    ]


@given(st.lists(st.binary(max_size=9), max_size=6), st.integers(0, 60), st.integers(0, 60))
def test_slices_are_what_a_slice_of_the_whole_would_be(
    contents: list[bytes], start: int, end: int
) -> None:
    slices = cut_parts(make_parts(contents), start, end)

    assert (
        b"".join(contents[int(s.path)][s.start : s.end] for s in slices)
        == b"".join(contents)[start:end]
    )


async def in_chunks(data: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


@given(
    st.lists(st.lists(st.sampled_from([b"a\n", b"bb\n", b"\n"]), max_size=4), max_size=5),
    st.integers(0, 25),
    st.integers(1, 4),
)
async def test_skipping_lines_leaves_the_later_ones(
    lines: list[list[bytes]], skipped: int, size: int
) -> None:
    contents = [b"".join(part) for part in lines]
    rest, inside = skip_parts(make_parts(contents), skipped)
    data = b"".join(contents[int(part.path)] for part in rest)

    left = b"".join([chunk async for chunk in skip_lines(in_chunks(data, size), inside)])

    assert left == b"".join([line for part in lines for line in part][skipped:])


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-0", (0, 1)),
        ("bytes=3-", (3, 10)),
        ("bytes=-4", (6, 10)),
        ("bytes=-40", (0, 10)),
        ("bytes=2-99", (2, 10)),
        ("bytes=-", None),
        ("bytes=5-2", None),
        ("bytes=1-2,4-5", None),
        ("lines=1-2", None),
    ],
)
def test_a_range_header(header: str | None, expected: tuple[int, int] | None) -> None:
    assert parse_range(header, 10) == expected


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-12", "bytes=-0"])
def test_a_range_beyond_the_end_is_refused(header: str) -> None:
    with pytest.raises(RefusedError) as caught:
        parse_range(header, 10)

    assert caught.value.status == 416
    assert caught.value.headers == {"content-range": "bytes */10"}
