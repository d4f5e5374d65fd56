"""What `crossdock usage` draws."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from crossdock.cli.usage.slots import SLOTS, slots_until

NOW = datetime(2026, 11, 25, 8, 52, 19, tzinfo=UTC)


def test_an_hour_is_sixty_minutes_and_the_one_under_way() -> None:
    slots = slots_until(NOW, 1.0)

    assert slots[0] == datetime(2026, 11, 25, 7, 52, tzinfo=UTC)
    assert slots[-1] == datetime(2026, 11, 25, 8, 52, tzinfo=UTC)
    assert len(slots) == SLOTS + 1


@given(st.floats(min_value=0.01, max_value=2000.0))
def test_slots_follow_each_other_without_a_gap_up_to_now(hours: float) -> None:
    slots = slots_until(NOW, hours)
    steps = {after - before for before, after in pairwise(slots)}

    assert len(steps) == 1
    assert slots[-1] <= NOW < slots[-1] + steps.pop()


def test_slots_begin_where_clickhouse_begins_them() -> None:
    """toStartOfInterval counts from 1970, in whole steps."""
    step = timedelta(minutes=24)

    assert all(slot.timestamp() % step.total_seconds() == 0 for slot in slots_until(NOW, 24.0))
