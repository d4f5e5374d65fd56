"""Which installation a command talks to."""

from pathlib import Path

import pytest

from crossdock.cli.shared.installation import (
    addresses,
    management_key,
    without_given,
    without_secret,
)
from crossdock.kernel.process.errors import ProcessError
from crossdock.kernel.process.kafka_settings import ACCESS
from crossdock.local.datadir import DataDir

GIVEN = {
    "OPENAI_BASE_URL": "http://127.0.0.1:7700/v1",
    "OPENAI_API_KEY": "sk-of-the-installation",
    "CLICKHOUSE_URL": "http://127.0.0.1:7701",
    "CROSSDOCK_ENV": "OPENAI_BASE_URL=http://127.0.0.1:7700/v1 CLICKHOUSE_URL=http://127.0.0.1:7701",
}


def test_what_crossdock_env_put_into_a_shell_is_not_the_users_own() -> None:
    """Else `crossdock up`, after `eval "$(crossdock env)"` and `down`, would look for that Kafka and start none."""
    own = without_given(GIVEN | {"HOME": "/home/me"})

    assert own == {"HOME": "/home/me"}


def test_what_the_user_set_afterwards_stays() -> None:
    mine = {"CLICKHOUSE_URL": "http://clickhouse.example:8123"}

    assert without_given(GIVEN | mine) == mine


def test_a_key_of_the_users_own_address_stays() -> None:
    mine = {"OPENAI_BASE_URL": "http://elsewhere.example/v1", "OPENAI_API_KEY": "sk-mine"}

    assert without_given(GIVEN | mine) == mine


def test_a_data_dirs_addresses_yield_to_the_environments(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    data.make()
    data.write_state(
        {"addresses": {"OPENAI_BASE_URL": "http://here/v1", "CLICKHOUSE_URL": "http://here:1"}}
    )

    found = addresses(data, {"CLICKHOUSE_URL": "http://there:1"})

    assert found == {"OPENAI_BASE_URL": "http://here/v1", "CLICKHOUSE_URL": "http://there:1"}


def test_variables_of_kafka_are_taken_from_one_place(tmp_path: Path) -> None:
    """A password of the folder's Kafka is not sent to another one."""
    data = DataDir(tmp_path)
    data.make()
    local = {
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_USERNAME": "crossdock",
        "KAFKA_SASL_PASSWORD": "s3cret",
    }
    data.write_state({"addresses": {"OPENAI_BASE_URL": "http://here/v1"} | local})

    here = addresses(data, {})
    there = addresses(data, {"KAFKA_BOOTSTRAP_SERVERS": "there:1"})

    assert here == {"OPENAI_BASE_URL": "http://here/v1"} | local
    assert ACCESS.options("127.0.0.1:1")["sasl_plain_password"] == "s3cret"
    assert there == {"OPENAI_BASE_URL": "http://here/v1", "KAFKA_BOOTSTRAP_SERVERS": "there:1"}
    assert ACCESS.options("there:1")["security_protocol"] == "PLAINTEXT"


def test_an_address_is_shown_without_its_secret() -> None:
    assert without_secret("http://reader:a%40b@127.0.0.1:1/x") == "http://127.0.0.1:1/x"
    assert without_secret("127.0.0.1:9092") == "127.0.0.1:9092"


def test_without_an_installation_the_error_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="crossdock up"):
        addresses(DataDir(tmp_path), {})


HERE = "http://127.0.0.1:7700/v1"
ELSEWHERE = "http://elsewhere.example/v1"


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    data = DataDir(tmp_path)
    data.make()
    data.write_state({"addresses": {"OPENAI_BASE_URL": HERE}})
    (tmp_path / "owner-key").write_text("sk-owner\n")
    return data


def test_the_environments_management_key_comes_first(data: DataDir) -> None:
    assert management_key(data, HERE, {"CROSSDOCK_MANAGEMENT_KEY": "sk-mine"}) == "sk-mine"


def test_else_the_data_dirs_owner_key_manages_its_installation(data: DataDir) -> None:
    assert management_key(data, HERE, {"CROSSDOCK_MANAGEMENT_KEY": ""}) == "sk-owner"


def test_the_owner_key_is_never_sent_to_another_address(data: DataDir) -> None:
    """OPENAI_BASE_URL may well name a service of somebody else."""
    with pytest.raises(ProcessError, match="set CROSSDOCK_MANAGEMENT_KEY"):
        management_key(data, ELSEWHERE, {"OPENAI_BASE_URL": ELSEWHERE})


def test_with_a_data_dir_the_key_for_another_address_is_not_its_own(data: DataDir) -> None:
    environ = {"OPENAI_BASE_URL": ELSEWHERE, "CROSSDOCK_MANAGEMENT_KEY": "sk-mine"}

    assert management_key(data, ELSEWHERE, environ) == "sk-mine"
    assert management_key(data, HERE, environ) == "sk-owner"


def test_without_a_management_key_it_says_what_to_set(data: DataDir) -> None:
    (data.path / "owner-key").unlink()

    with pytest.raises(ProcessError, match="set CROSSDOCK_MANAGEMENT_KEY, or pass --data-dir"):
        management_key(data, HERE, {})
