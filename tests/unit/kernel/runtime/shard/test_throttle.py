"""What changes often is shown rarely, and its last change always."""

from hypothesis import given
from hypothesis import strategies as st

from crossdock.kernel.runtime.shard.throttle import Throttle

EVERY_MS = 10
STEPS = st.lists(
    st.tuples(st.integers(0, 7), st.sets(st.sampled_from("ab")), st.booleans()), max_size=50
)
"""How much later, what changes, and whether it is to be shown at once."""


@given(STEPS)
def test_a_change_is_shown_in_its_time_and_no_name_twice_within_it(
    steps: list[tuple[int, set[str], bool]],
) -> None:
    throttle, now_ms = Throttle[str](EVERY_MS), 1000
    waiting: dict[str, int] = {}
    shown_ms: dict[str, int] = {}
    for later_ms, changed, at_once in steps:
        now_ms += later_ms
        for name in changed:
            throttle.note(name, at_once=at_once)
            waiting.setdefault(name, now_ms)

        due = set(throttle.due(now_ms))

        may = {name for name in waiting if now_ms - shown_ms.get(name, 0) >= EVERY_MS}
        hurried = changed if at_once else set[str]()
        assert due == may | hurried
        for name in due:
            shown_ms[name] = now_ms
            del waiting[name]


def test_nothing_is_shown_without_a_change() -> None:
    throttle = Throttle[str](EVERY_MS)
    throttle.note("a")

    assert [list(throttle.due(now_ms)) for now_ms in (0, 100)] == [["a"], []]
