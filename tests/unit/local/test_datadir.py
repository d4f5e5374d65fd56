"""The folder of an installation: its ports, and what its supervisor said."""

import json
import stat
from pathlib import Path

import pytest

from crossdock.kernel.process.errors import ProcessError
from crossdock.local.datadir import DataDir
from crossdock.local.ports import reserve

NAMES = ["ingress", "kafka", "ops.router.0"]

pytestmark = pytest.mark.enable_socket


def data_dir(path: Path) -> DataDir:
    data = DataDir(path)
    data.make()
    return data


def test_two_that_start_at_once_choose_other_ports(tmp_path: Path) -> None:
    """Neither uses its ports yet: clients of one reached the other."""
    one, other = data_dir(tmp_path / "one"), data_dir(tmp_path / "other")

    with one.locked(), other.locked():
        chosen = [*one.ports(NAMES).values(), *other.ports(NAMES).values()]

    assert len(set(chosen)) == 2 * len(NAMES)


def test_the_ports_of_last_time_are_taken_again(tmp_path: Path) -> None:
    data = data_dir(tmp_path)
    with data.locked():
        ports = data.ports(NAMES)
        assert reserve(ports["kafka"]) is None
    with data.locked():
        assert data.ports(NAMES) == ports

    assert json.loads((tmp_path / "ports.json").read_text()) == ports


def test_what_another_holds_meanwhile_is_chosen_anew(tmp_path: Path) -> None:
    data = data_dir(tmp_path)
    with data.locked():
        ports = data.ports(NAMES)
    held = reserve(ports["kafka"])
    assert held is not None
    with held, data.locked():
        again = data.ports(NAMES)

    assert again["kafka"] != ports["kafka"]
    assert (again["ingress"], again["ops.router.0"]) == (ports["ingress"], ports["ops.router.0"])


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ("", "the supervisor ended"),
        ("Crossdock in d\ncrossdock: no room\n\n", "no room"),
        ("crossdock: no room\nTraceback\nasyncio.exceptions.CancelledError\n", "no room"),
        ("Traceback\nMemoryError\n", "MemoryError"),
    ],
)
def test_the_supervisors_own_words_go_before_a_librarys(
    tmp_path: Path, log: str, told: str
) -> None:
    data = data_dir(tmp_path)
    data.log_path("supervisor").write_text(log)

    assert str(data.supervisors_error()) == told


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755, 0o705])
def test_a_folder_that_others_can_read_becomes_its_owners_alone(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "api-key").write_text("secret")
    folder.chmod(mode)

    data = data_dir(folder)

    assert mode_of(folder) == 0o700
    assert data.api_key() == ("secret", False)
    assert mode_of(folder / "api-key") == 0o600


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777])
def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    """Its files may be another user's."""
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "api-key").write_text("secret")
    folder.chmod(mode)

    with pytest.raises(ProcessError, match=r"others can write to .*chmod 700"):
        data_dir(folder)


def test_an_empty_folder_becomes_its_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    folder.chmod(0o777)

    data_dir(folder)

    assert mode_of(folder) == 0o700


def test_a_secret_that_is_a_link_is_refused(tmp_path: Path) -> None:
    data = data_dir(tmp_path / "d")
    (tmp_path / "elsewhere").write_text("secret")
    (tmp_path / "d" / "key-secret").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "d" / "kafka-secret").symlink_to(tmp_path / "nowhere")

    for secret in (data.key_secret, data.kafka_secret):
        with pytest.raises(ProcessError, match="must be a plain file"):
            secret()
    assert not (tmp_path / "nowhere").exists()


def test_every_secret_and_the_state_are_their_owners_alone(tmp_path: Path) -> None:
    data = data_dir(tmp_path / "d")

    secrets = {
        data.key_secret(),
        data.owner_key(),
        data.api_key()[0],
        data.kafka_secret(),
        *(data.clickhouse_secret(user) for user in ("owner", "reader", "metering")),
    }
    data.master_key()
    data.write_state({"addresses": {"CLICKHOUSE_URL": data.clickhouse_url("reader", 1)}})

    assert len(secrets) == 7
    files = [path for path in data.path.rglob("*") if path.is_file()]
    assert {mode_of(path) for path in files} == {0o600}


@pytest.mark.parametrize(
    "name", ["a*", "a?", "{a,b}", "[a]", "a\nb", "a\x7f", "a\udcff"], ids=ascii
)
def test_a_name_that_an_engine_reads_as_another_one_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ProcessError, match="choose another --data-dir"):
        data_dir(tmp_path / name)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["dü", "a, b", "a #1", "100%", "a=b:c", "a'b\"c", "a\\b", "日本"])
def test_any_other_name_is_a_name(tmp_path: Path, name: str) -> None:
    data_dir(tmp_path / name)

    assert [path.name for path in tmp_path.iterdir()] == [name]
