"""Times: the range that is accepted, and how a time is shown. Every encoder and every store takes this range. Pure."""

from datetime import UTC, datetime

EARLIEST_MS = 946_684_800_000
"""2000-01-01T00:00:00Z."""
LATEST_MS = 7_258_118_399_999
"""2199-12-31T23:59:59.999Z. ClickHouse's DateTime64 ends in 2299, Python's datetime in 9999."""


def is_bounded(ms: float) -> bool:
    """Return whether a time in unix milliseconds is in the range."""
    return EARLIEST_MS <= ms <= LATEST_MS


def utc(ms: float) -> datetime:
    """Return a time in unix milliseconds; a stored time before 1970 or after the range is shown as the nearest one.

    why: 0.9 and earlier accepted any time, and one record must not make a list, a stage or a table fail.
    """
    return datetime.fromtimestamp(min(max(ms, 0), LATEST_MS) / 1000, UTC)
