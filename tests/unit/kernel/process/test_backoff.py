"""Waits grow to a limit, and no two workers wait alike."""

import random

from hypothesis import given
from hypothesis import strategies as st

from crossdock.kernel.process.backoff import backoff_s


@given(st.integers(1, 10_000), st.integers(0, 1000))
def test_a_wait_lies_between_zero_and_the_limit(attempt: int, seed: int) -> None:
    wait = backoff_s(attempt, base_s=0.5, limit_s=10.0, chance=random.Random(seed))

    assert 0 <= wait <= min(10.0, 0.5 * 2 ** min(attempt - 1, 30))


def test_waits_differ() -> None:
    chance = random.Random(1)

    assert len({backoff_s(3, base_s=1.0, limit_s=9.0, chance=chance) for _ in range(20)}) == 20
