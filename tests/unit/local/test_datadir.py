"""The folder of an installation: its ports, and what its supervisor said."""

import json
from pathlib import Path

import pytest

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
