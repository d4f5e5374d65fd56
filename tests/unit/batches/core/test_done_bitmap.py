"""The bitmap is a set of numbers, whatever came in which order, and through its pages too."""

from hypothesis import given
from hypothesis import strategies as st

from crossdock.batches.core.done_bitmap import PAGE_LINES, Bits

LINES = st.lists(st.integers(0, 3 * PAGE_LINES), max_size=50)


@given(LINES)
def test_it_is_a_set(lines: list[int]) -> None:
    bits, seen = Bits(), set[int]()

    for line in lines:
        assert bits.add(line) is (line not in seen)
        seen.add(line)

    assert len(bits) == len(seen)
    assert all(line in bits for line in seen)
    assert (3 * PAGE_LINES + 1) not in bits


@given(LINES, LINES)
def test_the_changed_pages_bring_it_all_back(before: list[int], after: list[int]) -> None:
    bits, restored = Bits(), Bits()
    pages: dict[int, bytes] = {}
    for lines in (before, after):
        for line in lines:
            bits.add(line)
        pages.update(bits.take_changed())

    for number, page in pages.items():
        restored.restore(number, page)

    assert {line for line in before + after if line in restored} == set(before + after)
    assert len(restored) == len(bits)


def test_only_pages_that_changed_are_written_again() -> None:
    bits = Bits()
    bits.add(0)
    bits.add(PAGE_LINES)
    assert [number for number, _ in bits.take_changed()] == [0, 1]

    bits.add(PAGE_LINES)
    bits.add(PAGE_LINES + 1)

    assert [number for number, _ in bits.take_changed()] == [1]
    assert bits.take_changed() == []
    assert bits.numbers() == [0, 1]
