"""A batch of rows is cut at its rows, its bytes or its age, whichever comes first."""

import pytest

from crossdock.kernel.runtime.sink.batch import Buffer, CutPolicy

POLICY = CutPolicy(max_rows=3, max_bytes=100, max_age_s=2.0)


@pytest.mark.parametrize(
    ("rows", "size", "now", "is_due"),
    [(2, 99, 1.99, False), (3, 0, 0.0, True), (0, 100, 0.0, True), (0, 0, 2.0, True)],
    ids=["below all", "rows", "bytes", "age"],
)
def test_each_limit_cuts(rows: int, size: int, now: float, *, is_due: bool) -> None:
    buffer = Buffer(POLICY)

    buffer.add("t", [("x",)] * rows, size, now=0.0)

    assert buffer.is_due(now=now) is is_due


def test_an_empty_one_is_never_due() -> None:
    buffer = Buffer(POLICY)

    assert not buffer.is_due(now=1e9)
    assert buffer.rest_s(now=1e9) == 2.0


def test_age_counts_from_the_first_row() -> None:
    buffer = Buffer(POLICY)
    buffer.add("t", [("x",)], 1, now=10.0)
    buffer.add("t", [("y",)], 1, now=11.0)

    assert buffer.rest_s(now=11.5) == 0.5
    assert buffer.rest_s(now=99.0) == 0.0


def test_what_is_taken_is_gone() -> None:
    buffer = Buffer(POLICY)
    buffer.add("a", [("x",)], 60, now=0.0)
    buffer.add("b", [("y",)], 60, now=0.0)
    buffer.add("a", [("z",)], 0, now=0.0)

    assert buffer.take() == {"a": [("x",), ("z",)], "b": [("y",)]}
    assert buffer.take() == {}
    assert not buffer.is_due(now=1e9)
