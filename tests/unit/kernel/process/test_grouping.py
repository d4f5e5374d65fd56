"""Groups are cut by the bytes of their items: none is too large unless one item alone is."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from crossdock.kernel.process.grouping import cut

ITEMS = st.lists(st.binary(max_size=30), max_size=50)


@given(ITEMS, st.integers(1, 60), st.none() | st.integers(1, 7))
def test_groups_are_as_large_as_they_may_be_and_keep_the_order(
    items: list[bytes], max_bytes: int, max_count: int | None
) -> None:
    groups = list(cut(items, len, max_bytes=max_bytes, max_count=max_count))

    assert [item for group in groups for item in group] == items
    assert all(groups)
    for group in groups:
        assert len(group) == 1 or sum(map(len, group)) <= max_bytes
        assert max_count is None or len(group) <= max_count
    for group, following in pairwise(groups):
        has_room = sum(map(len, group)) + len(following[0]) <= max_bytes
        assert not has_room or len(group) == max_count


@given(st.lists(st.integers(0, 3), max_size=30))
def test_items_that_part_are_never_in_one_group(items: list[int]) -> None:
    groups = list(cut(items, lambda _: 1, max_bytes=1000, parts=lambda last, item: last > item))

    assert [item for group in groups for item in group] == items
    assert all(group == sorted(group) for group in groups)
    assert all(a[-1] > b[0] for a, b in pairwise(groups))
