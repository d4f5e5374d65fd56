"""What follows from the three times that can be set keeps its order, whatever they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.kernel.process.errors import SettingsError
from crossdock.kernel.process.settings import Settings
from crossdock.kernel.process.timing import DEFAULT, Timing

times_ms = st.integers(1000, 900_000)


@given(st.builds(Timing, times_ms, times_ms, times_ms))
def test_the_order_of_the_times_is_always_the_same(timing: Timing) -> None:
    assert timing.heartbeat_ms < timing.prove_ms * 2 <= timing.owned_ms < timing.session_ms
    assert timing.transaction_ms < timing.commit_limit_s * 1000
    assert timing.renew_ms < timing.lease_ms
    assert timing.lease_ms + timing.grace_ms < timing.unknown_s * 1000


def test_without_settings_the_times_are_those_of_the_documents() -> None:
    """Architecture and runbook name them."""
    assert (DEFAULT.session_ms, DEFAULT.transaction_ms, DEFAULT.lease_ms) == (
        10_000,
        10_000,
        20_000,
    )
    assert (DEFAULT.heartbeat_ms, DEFAULT.prove_ms, DEFAULT.owned_ms) == (3000, 3000, 8000)
    assert (DEFAULT.renew_ms, DEFAULT.grace_ms) == (5000, 5000)
    assert (DEFAULT.commit_limit_s, DEFAULT.unknown_s) == (30.0, 60)
    assert Settings().timing == DEFAULT


def test_each_time_is_a_setting() -> None:
    names = {
        "CROSSDOCK_SESSION_TIMEOUT_S": "3",
        "CROSSDOCK_TRANSACTION_TIMEOUT_S": "2.5",
        "CROSSDOCK_LEASE_S": "4",
    }

    assert Settings.from_env(names).timing == Timing(3000, 2500, 4000)


@pytest.mark.parametrize("name", ["SESSION_TIMEOUT_S", "TRANSACTION_TIMEOUT_S", "LEASE_S"])
@pytest.mark.parametrize("value", ["0.5", "901", "nan"], ids=["too short", "too long", "no number"])
def test_an_impossible_time_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"CROSSDOCK_{name}: "):
        Settings.from_env({f"CROSSDOCK_{name}": value})
