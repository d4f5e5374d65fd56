"""The bitmap is a set of numbers, whatever came in which order, and through its pages too."""

from hypothesis import given
from hypothesis import strategies as st

from crossdock.batches.core.done_bitmap import PAGE_LINES, DoneBitmap
from crossdock.kernel.process.record import Page

LINES = st.lists(st.integers(0, 3 * PAGE_LINES), max_size=50)


@given(LINES)
def test_it_is_a_set(lines: list[int]) -> None:
    bits, seen = DoneBitmap("batch_1"), set[int]()

    for line in lines:
        assert bits.add(line) is (line not in seen)
        seen.add(line)

    assert len(bits) == len(seen)
    assert all(line in bits for line in seen)
    assert (3 * PAGE_LINES + 1) not in bits


@given(LINES, LINES)
def test_the_changed_pages_bring_it_all_back(before: list[int], after: list[int]) -> None:
    bits, restored = DoneBitmap("batch_1"), DoneBitmap("batch_1")
    pages: dict[bytes, Page] = {}
    for lines in (before, after):
        for line in lines:
            bits.add(line)
        pages.update({page.key: page for page in bits.pages.finish()})

    restored.pages.restore(pages.values())

    assert {line for line in before + after if line in restored} == set(before + after)
    assert len(restored) == len(bits)


def test_only_pages_that_changed_are_written_again() -> None:
    bits = DoneBitmap("batch_1")
    bits.add(0)
    bits.add(PAGE_LINES)
    assert [page.key for page in bits.pages.finish()] == [b"batch_1/done/0", b"batch_1/done/1"]

    bits.add(PAGE_LINES)
    bits.add(PAGE_LINES + 1)

    assert [page.key for page in bits.pages.finish()] == [b"batch_1/done/1"]
    assert bits.pages.finish() == []
    assert sorted(bits.pages) == [0, 1]
