"""Kafka's jars are fetched once, by one process at a time, and are there whole or not at all."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from crossdock.kernel.process.errors import ProcessError
from crossdock.local.jars import kafka_jars

FETCH_S = 0.2


class Maven:
    """Fetches slowly, into a work folder that takes one at a time; counts how often."""

    def __init__(self) -> None:
        self.fetched = 0
        self._alone = threading.Lock()

    def resolve(self, _: Path, into: Path) -> None:
        assert self._alone.acquire(blocking=False), "two at once"
        into.mkdir()
        time.sleep(FETCH_S)
        (into / "kafka.jar").touch()
        self.fetched += 1
        self._alone.release()


def test_of_two_first_starts_one_fetches_and_both_get_them(tmp_path: Path) -> None:
    maven = Maven()

    with ThreadPoolExecutor(2) as starts:
        folders = list(starts.map(lambda _: kafka_jars(tmp_path, maven.resolve), range(2)))

    assert folders[0] == folders[1]
    assert maven.fetched == 1
    assert [jar.name for jar in folders[0].iterdir()] == ["kafka.jar"]


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    maven = Maven()

    assert kafka_jars(tmp_path, maven.resolve) == kafka_jars(tmp_path, maven.resolve)
    assert maven.fetched == 1


def test_a_fetch_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def resolve(_: Path, into: Path) -> None:
        into.mkdir()
        (into / "half.jar").touch()
        raise ProcessError("cannot fetch")

    with pytest.raises(ProcessError):
        kafka_jars(tmp_path, resolve)

    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
