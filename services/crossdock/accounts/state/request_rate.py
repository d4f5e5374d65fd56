"""Requests per minute of a key: a bucket that a minute fills (GCRA). Pure.

What is kept of a bucket is one time: until when it would be busy if requests came evenly. It is part of the state, so
a new owner lets nobody through twice.
"""

from math import ceil, floor

MINUTE_MS = 60_000


def count_allowed(busy_until_ms: int, rpm: int, now_ms: int) -> int:
    """Return how many requests may begin now."""
    ahead_ms = max(0, busy_until_ms - now_ms)
    return max(0, floor((MINUTE_MS - ahead_ms) * rpm / MINUTE_MS))


def after(busy_until_ms: int, rpm: int, now_ms: int, count: int) -> int:
    """Return what is kept when `count` requests began now."""
    return max(busy_until_ms, now_ms) + ceil(count * MINUTE_MS / rpm)


def next_ms(busy_until_ms: int, rpm: int) -> int:
    """Return when the next request may begin."""
    return busy_until_ms + ceil(MINUTE_MS / rpm) - MINUTE_MS
