"""The slots of time in which `crossdock usage` plots cost."""

from datetime import UTC, datetime

SLOTS = 60


def slots_until(now: datetime, hours: float) -> list[datetime]:
    """Return the start of each slot of the plot; the last slot is not over."""
    step = span_of(hours) // SLOTS
    last = int(now.timestamp()) // step * step
    return [datetime.fromtimestamp(last - step * n, UTC) for n in reversed(range(SLOTS + 1))]


def span_of(hours: float) -> int:
    """Return the seconds of the plot, at least one a slot."""
    return max(SLOTS, round(hours * 3600))
