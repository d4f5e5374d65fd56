"""The wait before a retry: exponential, with full jitter."""

import random


def backoff_s(attempt: int, *, base_s: float, limit_s: float, chance: random.Random) -> float:
    """Return the seconds before try `attempt + 1`; between 0 and min(limit, base * 2^(attempt - 1))."""
    ceiling = min(limit_s, base_s * 2.0 ** min(attempt - 1, 30))
    return chance.uniform(0, ceiling)
