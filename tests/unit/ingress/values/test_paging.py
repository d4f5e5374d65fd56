"""Pages."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.paging import choose_page
from crossdock_schemas.ids import make_batch_id


class Item(NamedTuple):
    created_at_ms: int
    name: str


@given(
    times=st.lists(st.integers(0, 50), max_size=40),
    limit=st.integers(1, 9),
    newest_first=st.booleans(),
)
def test_all_pages_together_are_the_whole_list_in_order(
    times: list[int], limit: int, newest_first: bool
) -> None:
    items = [(f"i{n:03d}", Item(time, f"i{n:03d}")) for n, time in enumerate(times)]
    seen: list[Item] = []
    after, has_more = None, True
    while has_more:
        page, has_more = choose_page(items, after=after, limit=limit, newest_first=newest_first)
        assert len(page) == limit or not has_more
        seen += page
        after = page[-1].name if page else None

    assert seen == sorted((item for _, item in items), reverse=newest_first)


def test_a_cursor_whose_item_is_gone_keeps_its_place() -> None:
    ids = [make_batch_id(now_ms) for now_ms in (1000, 2000, 3000)]
    items = [(ids[0], Item(1000, "a")), (ids[2], Item(3000, "c"))]

    page, has_more = choose_page(items, after=ids[1], limit=5, newest_first=True)

    assert ([item.name for item in page], has_more) == (["a"], False)


def test_a_cursor_that_is_no_id_is_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        choose_page([("a", Item(1, "a"))], after="nonsense", limit=5, newest_first=True)

    assert caught.value.param == "after"
