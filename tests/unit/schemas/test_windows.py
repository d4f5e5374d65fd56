"""Days, weeks and months are UTC, and end when the next one begins."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock_schemas.windows import DAY_MS, Window, date_of, day_of, end_ms, is_in, windows_of

DAYS = st.integers(0, 100_000)  # 1970-01-01 to 2243-10-17
NEAR = st.integers(-40, 40)
every_window = pytest.mark.parametrize("window", [w for w in Window if w is not Window.TOTAL])


def day(when: str) -> int:
    return (date.fromisoformat(when) - date(1970, 1, 1)).days


def is_same(window: Window, one: date, other: date) -> bool:
    """Say by the calendar whether both lie in one window."""
    match window:
        case Window.DAILY:
            return one == other
        case Window.WEEKLY:
            return one.isocalendar()[:2] == other.isocalendar()[:2]
        case Window.MONTHLY:
            return (one.year, one.month) == (other.year, other.month)
        case Window.TOTAL:
            return True


@given(st.integers(0, 100_000 * DAY_MS))
def test_a_day_is_that_of_the_time_in_utc(ms: int) -> None:
    assert date_of(day_of(ms)) == (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)).date()  # fmt: skip


@given(DAYS, NEAR)
def test_two_days_are_in_one_window_if_the_calendar_says_so(today: int, distance: int) -> None:
    other = max(0, today + distance)

    for window in Window:
        assert is_in(window, other, today) == is_same(window, date_of(other), date_of(today))


@every_window
@given(today=DAYS)
def test_a_window_ends_with_the_first_millisecond_that_is_not_in_it(
    window: Window, today: int
) -> None:
    end = end_ms(window, today)

    assert end is not None
    assert is_in(window, day_of(end - 1), today)
    assert not is_in(window, day_of(end), today)
    assert end > today * DAY_MS


@given(DAYS)
def test_a_budget_without_windows_has_no_end(today: int) -> None:
    assert end_ms(Window.TOTAL, today) is None
    assert is_in(Window.TOTAL, 0, today)


@pytest.mark.parametrize(
    ("today", "daily", "weekly", "monthly"),
    [
        pytest.param("2026-11-29", "2026-11-30", "2026-11-30", "2026-12-01", id="a Sunday"),
        pytest.param("2026-11-30", "2026-12-01", "2026-12-07", "2026-12-01", id="a Monday"),
        pytest.param("2026-12-31", "2027-01-01", "2027-01-04", "2027-01-01", id="New Year's Eve"),
        pytest.param("2028-02-29", "2028-03-01", "2028-03-06", "2028-03-01", id="a leap day"),
    ],
)
def test_the_ends_of_a_days_windows(today: str, daily: str, weekly: str, monthly: str) -> None:
    windows = (Window.DAILY, Window.WEEKLY, Window.MONTHLY)

    ends = [end_ms(window, day(today)) for window in windows]

    assert ends == [day(end) * DAY_MS for end in (daily, weekly, monthly)]


def test_a_window_has_one_number_on_all_its_days() -> None:
    monday, sunday, next_monday = (
        windows_of(day(when)) for when in ("2026-12-28", "2027-01-03", "2027-01-04")
    )

    assert monday[1] == sunday[1] == next_monday[1] - 1
    assert monday[2] + 1 == sunday[2]
