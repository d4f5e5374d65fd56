"""A page store is a dict whose changed pages bring it back, whatever was packed, asked for or removed in between."""

from hypothesis import given
from hypothesis import strategies as st

from crossdock.kernel.process.record import Page
from crossdock.kernel.runtime.shard.page_store import Codec, GroupedPages, PageStore

STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 9) | st.none(), st.booleans()), max_size=40
)
"""Item, its new value or None to remove it, and whether a restart follows."""


def pack(value: int) -> bytes:
    return b"%d" % value


def make_store() -> PageStore[str, int]:
    return PageStore("numbers", Codec(str, pack, int))


def page_key(owner: str, number: str) -> tuple[str, int]:
    return owner, int(number)


def pack_page(page: dict[str, int]) -> bytes:
    return b" ".join(b"%s=%d" % (item.encode(), value) for item, value in page.items())


def unpack_page(value: bytes) -> dict[str, int]:
    pairs = (pair.split("=") for pair in value.decode().split())
    return {item: int(number) for item, number in pairs}


def make_groups() -> GroupedPages[str, str, int]:
    pages = PageStore("groups", Codec(page_key, pack_page, unpack_page))
    return GroupedPages(pages, page_bytes=6, size=lambda item, _: len(item) + 2)


@given(STEPS)
def test_changed_pages_bring_back_what_a_dict_holds(
    steps: list[tuple[str, int | None, bool]],
) -> None:
    store, model, kept = make_store(), dict[str, int](), dict[bytes, Page]()
    for name, value, restarts in steps:
        if value is None:
            assert store.take(name) == model.pop(name, None)
        else:
            store.put(name, value)
            model[name] = value
        kept |= {page.key: page for page in store.finish()}
        if restarts:
            store = make_store()
            store.restore([*kept.values(), Page(b"others/a", b"7")])
        assert {key: store.find(key) for key in model} == model
        assert (sorted(store), len(store)) == (sorted(model), len(model))
    assert store.finish() == []
    assert {key for key, page in kept.items() if page.value} == {b"numbers/" + k.encode() for k in model}  # fmt: skip


@given(STEPS)
def test_grouped_items_survive_restarts_in_pages_of_a_bounded_size(
    steps: list[tuple[str, int | None, bool]],
) -> None:
    groups, model, kept = make_groups(), dict[str, int](), dict[bytes, Page]()
    for item, value, restarts in steps:
        if value is None:
            assert groups.take("org", item) == model.pop(item, None)
        else:
            (groups.put if item in model else groups.add)("org", item, value)
            model[item] = value
        kept |= {page.key: page for page in groups.pages.finish()}
        if restarts:
            groups = make_groups()
            groups.restore(kept.values(), unpack_page)
        assert {one: groups.find("org", one) for one in "abc"} == {one: model.get(one) for one in "abc"}  # fmt: skip
        assert len(groups) == len(model)
    assert groups.find("other", "a") is None
    assert all(len(page.value or b"") <= 7 for page in kept.values())


def test_a_page_is_full_when_its_bytes_were_added_also_if_some_were_removed() -> None:
    groups = make_groups()
    numbers = [groups.add("org", item, 1) for item in "ab"]
    groups.take("org", "a")

    assert [*numbers, groups.add("org", "c", 1), groups.add("other", "d", 1)] == [0, 0, 1, 0]
