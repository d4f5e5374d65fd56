import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.simulator.core.rate_limits import MinuteLimits, show_duration


def test_a_full_bucket_gives_a_minute_s_worth_at_once_and_no_more() -> None:
    limits = MinuteLimits(rpm=3, tpm=None)

    waits = [limits.admit(1, now=0.0) for _ in range(4)]

    assert waits == [0, 0, 0, 20]


def test_after_the_wait_that_was_told_the_call_is_admitted() -> None:
    limits = MinuteLimits(rpm=3, tpm=100)
    limits.admit(90, now=0.0)

    wait_s = limits.admit(40, now=0.0)

    assert wait_s == pytest.approx(18)
    assert limits.admit(40, now=wait_s + 0.001) == 0


def test_a_refused_call_takes_nothing() -> None:
    limits = MinuteLimits(rpm=10, tpm=100)
    limits.admit(100, now=0.0)
    before = limits.headers()

    limits.admit(1, now=0.0)

    assert limits.headers() == before


def test_a_call_above_the_whole_bucket_waits_until_it_is_full_and_is_then_admitted() -> None:
    """It was once admitted for nothing: a level below zero was taken for a bucket never used."""
    limits = MinuteLimits(rpm=None, tpm=100)

    assert limits.admit(250, now=0.0) == 0
    assert limits.admit(100, now=0.0) == pytest.approx(150)
    assert limits.admit(100, now=151.0) == 0


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 30)), max_size=60))
def test_never_more_tokens_than_the_bucket_and_its_refill(calls: list[tuple[float, int]]) -> None:
    limits, now, admitted = MinuteLimits(rpm=None, tpm=60), 0.0, 0

    for pause_s, tokens in calls:
        now += pause_s
        admitted += tokens if limits.admit(tokens, now) == 0 else 0

    assert admitted <= 60 + now + 1e-6


def test_the_headers_are_openai_s() -> None:
    limits = MinuteLimits(rpm=60, tpm=6000)
    limits.admit(100, now=0.0)

    assert limits.headers() == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-limit-tokens": "6000",
        "x-ratelimit-remaining-tokens": "5900",
        "x-ratelimit-reset-tokens": "1s",
    }


def test_without_limits_there_are_no_headers_and_no_waits() -> None:
    limits = MinuteLimits(rpm=None, tpm=None)

    assert limits.admit(10**9, now=0.0) == 0
    assert limits.headers() == {}


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (0.006, "6ms"), (1, "1s"), (8.64, "8.64s"), (360, "6m0s"), (3601, "1h0m1s")],
)
def test_durations_are_written_as_go_does(seconds: float, shown: str) -> None:
    assert show_duration(seconds) == shown


@given(st.floats(0, 100_000))
def test_a_shown_duration_is_never_shorter_than_the_real_one(seconds: float) -> None:
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

    parts = re.findall(r"([\d.]+)(ms|h|m|s)", show_duration(seconds))

    assert seconds - 1e-6 <= sum(float(n) * units[unit] for n, unit in parts) <= seconds + 0.002
