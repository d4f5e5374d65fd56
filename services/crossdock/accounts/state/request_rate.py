"""Requests per minute of a key: the generic cell rate algorithm (GCRA). Pure.

A key's state is one time: until when the key would be busy if its requests came evenly. It is stored, so that after a
takeover no request passes twice.
"""

from math import ceil, floor

MINUTE_MS = 60_000


def count_allowed(busy_until_ms: int, rpm: int, now_ms: int) -> int:
    """Return how many requests may start now."""
    ahead_ms = max(0, busy_until_ms - now_ms)
    return max(0, floor((MINUTE_MS - ahead_ms) * rpm / MINUTE_MS))


def after(busy_until_ms: int, rpm: int, now_ms: int, count: int) -> int:
    """Return until when the key is busy if `count` requests start now."""
    return max(busy_until_ms, now_ms) + ceil(count * MINUTE_MS / rpm)


def next_ms(busy_until_ms: int, rpm: int) -> int:
    """Return when the next request may start."""
    return busy_until_ms + ceil(MINUTE_MS / rpm) - MINUTE_MS
