"""A custom_id that came before is found, among any others."""

from hypothesis import given
from hypothesis import strategies as st

from crossdock.batches.core.custom_ids import SeenIds


@given(st.lists(st.text(max_size=3), max_size=60))
def test_it_finds_just_the_repeats(ids: list[str]) -> None:
    seen, first = SeenIds(), dict[str, int]()
    expected = set()
    for line, custom_id in enumerate(ids):
        seen.add(custom_id, line)
        if first.setdefault(custom_id, line) != line:
            expected.add((first[custom_id], line))

    assert set(seen.suspects()) == expected


def test_a_lone_surrogate_is_an_id_too() -> None:
    seen = SeenIds()

    seen.add("\ud800", 0)
    seen.add("\ud800", 1)

    assert list(seen.suspects()) == [(0, 1)]
