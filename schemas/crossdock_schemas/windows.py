"""Days, weeks and months, UTC; a week begins on Monday. Pure."""

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache

DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1)
_MONDAY = 3  # 1970-01-01 was a Thursday: three days after a Monday
_DECEMBER = 12


class Window(StrEnum):
    """The window of a budget: it starts at midnight UTC, on Monday, on the first of the month, or never again."""

    TOTAL = "total"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


def day_of(ms: int) -> int:
    """Return the number of the UTC day of `ms`, from 1970-01-01 on."""
    return ms // DAY_MS


def date_of(day: int) -> date:
    return _EPOCH + timedelta(days=day)


@lru_cache(maxsize=1024)
def windows_of(day: int) -> tuple[int, int, int]:
    """Return the numbers of the day, week and month of `day`."""
    at = date_of(day)
    return day, (day + _MONDAY) // 7, at.year * 12 + at.month


def is_in(window: Window, day: int, today: int) -> bool:
    """Return whether `day` is in the window of `today`."""
    if window is Window.TOTAL:
        return True
    place = (Window.DAILY, Window.WEEKLY, Window.MONTHLY).index(window)
    return windows_of(day)[place] == windows_of(today)[place]


def end_ms(window: Window, today: int) -> int | None:
    """Return when the window of `today` ends, in unix ms; None: never."""
    if window is Window.TOTAL:
        return None
    at = date_of(today)
    if window is Window.DAILY:
        end = at + timedelta(days=1)
    elif window is Window.WEEKLY:
        end = at + timedelta(days=7 - at.weekday())
    else:
        is_last = at.month == _DECEMBER
        end = date(at.year + is_last, 1 if is_last else at.month + 1, 1)
    return int(datetime(end.year, end.month, end.day, tzinfo=UTC).timestamp() * 1000)
