"""Settings come from names in the environment; every fault is told at once, before anything connects."""

import pytest
from pydantic import Field

from crossdock.kernel.process.errors import SettingsError
from crossdock.kernel.process.settings import Settings


class Own(Settings):
    """CROSSDOCK_OWN_*."""

    size: int = Field(default=1, ge=1)
    must: str


PREFIX = "CROSSDOCK_OWN_"


def test_own_shared_and_foreign_names_are_read() -> None:
    read = Own.from_env(
        {
            "CROSSDOCK_OWN_MUST": "x",
            "CROSSDOCK_OWN_SIZE": "3",
            "CROSSDOCK_ORDINAL": "2",
            "KAFKA_BOOTSTRAP_SERVERS": "k:1",
            "CLICKHOUSE_URL": "http://c:1",
            "PATH": "/bin",
        },
        prefix=PREFIX,
    )

    assert (read.must, read.size, read.ordinal, read.instance) == ("x", 3, 2, "2")
    assert (read.kafka_bootstrap_servers, read.clickhouse_url) == ("k:1", "http://c:1")


def test_a_stages_own_name_wins_over_the_shared_one() -> None:
    names = {
        "CROSSDOCK_OWN_MUST": "x",
        "CROSSDOCK_OWN_LOG_LEVEL": "DEBUG",
        "CROSSDOCK_LOG_LEVEL": "INFO",
    }

    assert Own.from_env(names, prefix=PREFIX).log_level == "DEBUG"


def test_an_empty_value_is_none() -> None:
    assert (
        Own.from_env({"CROSSDOCK_OWN_MUST": "x", "CROSSDOCK_OWN_SIZE": ""}, prefix=PREFIX).size == 1
    )


def test_every_fault_is_told_at_once() -> None:
    names = {"CROSSDOCK_OWN_SIZE": "0", "CROSSDOCK_OWN_SIEZ": "5", "CROSSDOCK_ORDINAL": "-1"}

    with pytest.raises(SettingsError) as caught:
        Own.from_env(names, prefix=PREFIX)

    told = str(caught.value)
    assert "CROSSDOCK_OWN_SIZE: " in told
    assert "CROSSDOCK_OWN_MUST: " in told
    assert "ORDINAL: " in told
    assert "CROSSDOCK_OWN_SIEZ: no such setting" in told


def test_a_typo_alone_is_an_error_too() -> None:
    with pytest.raises(SettingsError, match="OWN_SIEZ: no such"):
        Own.from_env({"CROSSDOCK_OWN_MUST": "x", "CROSSDOCK_OWN_SIEZ": "5"}, prefix=PREFIX)


def test_a_foreign_name_is_told_by_its_own_name() -> None:
    class Strict(Settings):
        kafka_bootstrap_servers: str = Field(default="x", pattern=r"^[a-z]+$")

    with pytest.raises(SettingsError, match=r"^KAFKA_BOOTSTRAP_SERVERS: "):
        Strict.from_env({"KAFKA_BOOTSTRAP_SERVERS": "9"}, prefix=PREFIX)


def test_other_stages_names_are_none_of_our_business() -> None:
    assert Settings.from_env({"CROSSDOCK_OWN_SIEZ": "5"}).ordinal == 0


def test_a_setting_cannot_be_changed_later() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().ordinal = 5  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize("said", ["inf", "-inf", "nan", "1e300", "86401"])
def test_a_time_has_bounds(said: str) -> None:
    """Kind 4 of issue 16: a time that no clock takes ends the process at its first use, not at its start."""
    with pytest.raises(SettingsError, match="DRAIN_S"):
        Own.from_env({"CROSSDOCK_OWN_MUST": "x", "CROSSDOCK_DRAIN_S": said}, prefix=PREFIX)
