"""The supervisor with small processes of the tests' own: what a full disk refuses does not stop it."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from crossdock.local.datadir import DataDir
from crossdock.local.installation import Installation
from crossdock.local.ports import free_port
from crossdock.local.process import Child, ProcessSpec
from crossdock.local.supervisor import Supervisor

_SERVES = """
import socketserver, sys
socketserver.TCPServer.allow_reuse_address = True
socketserver.TCPServer(("127.0.0.1", int(sys.argv[1])), socketserver.BaseRequestHandler).serve_forever()
"""


@asynccontextmanager
async def running(data: DataDir) -> AsyncIterator[Supervisor]:
    """An installation of one process, ready."""
    data.make()
    port = free_port()
    spec = ProcessSpec(
        "kafka", [sys.executable, "-c", _SERVES, str(port)], {}, open_port=port, stop_s=5.0
    )
    nothing = ProcessSpec("provision", [sys.executable, "-c", ""], {})
    supervisor, stop = Supervisor(data, os.getpid()), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.run(Installation((spec,), nothing, (), {}), stop))
        await until(lambda: supervisor.phase == "ready")
        yield supervisor
        stop.set()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110  # nobody tells the test
            await asyncio.sleep(0.05)


async def test_a_process_is_started_again_while_the_state_cannot_be_written(tmp_path: Path) -> None:
    """A full disk: the keeper of the process died of it without a word, and Kafka stayed down for good."""
    data = DataDir(tmp_path / "d")
    async with running(data) as supervisor:
        (child,) = supervisor.children
        first = child.pid
        (data.path / "run").rename(data.path / "away")

        psutil.Process(first).kill()
        await until(lambda: child.pid != first and child.state == "ready")
        (data.path / "away").rename(data.path / "run")

        await until(lambda: data.read_state()["processes"][0]["pid"] == child.pid)
        assert child.restarts == 1


async def test_a_process_is_started_again_when_its_log_can_be_opened_again(
    tmp_path: Path,
) -> None:
    data = DataDir(tmp_path / "d")
    async with running(data) as supervisor:
        (child,) = supervisor.children
        first = child.pid
        (data.path / "logs").rename(data.path / "away")

        psutil.Process(first).kill()
        await until(lambda: child.restarts == 1)
        (data.path / "away").rename(data.path / "logs")

        await until(lambda: child.pid != first and child.state == "ready")


def test_a_long_log_is_moved_aside_under_its_writer(tmp_path: Path) -> None:
    log = tmp_path / "provider.0.log"
    child = Child(ProcessSpec("provider.0", [], {}), log)
    with log.open("ab") as out:
        out.write(b"old\n" * 300)
        out.flush()

        child.shorten_log(limit=1000)
        out.write(b"new\n")

    assert log.read_bytes() == b"new\n"
    assert log.with_suffix(".log.1").read_bytes() == b"old\n" * 300


def test_a_log_within_the_limit_stays(tmp_path: Path) -> None:
    log = tmp_path / "provider.0.log"
    log.write_text(json.dumps({}))

    Child(ProcessSpec("provider.0", [], {}), log).shorten_log(limit=1000)

    assert log.read_text() == "{}"
    assert not log.with_suffix(".log.1").exists()
