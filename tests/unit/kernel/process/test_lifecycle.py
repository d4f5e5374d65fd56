"""A process ends in order when told to, and says what was left when it cannot."""

import asyncio
import gc
import signal
import subprocess
import sys
import time

import pytest

from crossdock.kernel.process.errors import ProcessError
from crossdock.kernel.process.lifecycle import building, print_tasks, serve, start


async def obedient(stop: asyncio.Event) -> None:
    await stop.wait()


async def test_a_service_that_ends_by_itself_is_a_success() -> None:
    async def short(_: asyncio.Event) -> None:
        """Ends at once."""

    assert await serve(short, asyncio.Event(), drain_s=1) == 0


async def test_a_service_that_stops_in_time_is_a_success() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, stop.set)

    assert await serve(obedient, stop, drain_s=1) == 0


async def test_a_service_that_does_not_stop_in_time_is_a_failure() -> None:
    stop = asyncio.Event()
    stop.set()

    async def deaf(_: asyncio.Event) -> None:
        await asyncio.sleep(30)

    assert await serve(deaf, stop, drain_s=0.01, left=lambda: "3 calls") == 1


async def test_what_a_service_raises_comes_out() -> None:
    async def broken(_: asyncio.Event) -> None:
        raise ProcessError("no")

    with pytest.raises(ProcessError):
        await serve(broken, asyncio.Event(), drain_s=1)


def test_an_expected_error_is_one_line_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    async def refuses(_: object) -> int:
        raise ProcessError("the port is taken")

    assert start(refuses) == 1
    assert capsys.readouterr().err == "crossdock: the port is taken\n"


def test_the_exit_code_is_mains() -> None:
    async def seven(_: object) -> int:
        return 7

    assert start(seven) == 7


async def test_every_task_tells_where_it_waits(capsys: pytest.CaptureFixture[str]) -> None:
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(asyncio.sleep(10), name="waits")
        await asyncio.sleep(0)
        print_tasks()
        waiting.cancel()

    assert "waits" in capsys.readouterr().err


_PROGRAM = """
import asyncio, sys
from crossdock.kernel.process import lifecycle
async def serve(stop):
    print("serving", flush=True)
    await asyncio.sleep(30 if sys.argv[1] == "deaf" else 0)
    await stop.wait()
async def main(environ):
    return await lifecycle.run(serve, drain_s=20, left=lambda: "two calls")
sys.exit(lifecycle.start(main))
"""


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    ("temper", "signals", "code"),
    [("obedient", 1, 0), ("deaf", 2, 1)],
    ids=["one signal", "a second signal"],
)
def test_signals_end_a_process(temper: str, signals: int, code: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, temper],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "serving\n"
        for _ in range(signals):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
        told = process.communicate(timeout=10)

    assert process.returncode == code
    assert ("two calls" in told[0] + told[1]) is (code == 1)


def test_what_is_built_counts_as_old_and_the_collector_goes_on_after_it() -> None:
    with building():
        assert not gc.isenabled()
        built = [[number] for number in range(1000)]

    assert gc.isenabled()
    assert gc.get_freeze_count() == 0  # a state that was given away must not stay for good
    assert any(found is built for found in gc.get_objects(generation=2))


def test_the_collector_goes_on_where_building_failed() -> None:
    with pytest.raises(LookupError), building():
        raise LookupError

    assert gc.isenabled()
