"""Processes under measurement: a simulator, and what the system says of CPU and memory."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
_STOP_S = 15.0


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


async def until_open(port: int, child: asyncio.subprocess.Process, *, timeout_s: float) -> None:
    """Return when something listens on `port`.

    Raises:
        TimeoutError: if nothing does in time.
        RuntimeError: if `child` ended instead.
    """
    async with asyncio.timeout(timeout_s):
        while True:
            if child.returncode is not None:
                raise RuntimeError(f"the process ended with {child.returncode}")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


@asynccontextmanager
async def running(
    argv: Sequence[str],
    env: Mapping[str, str],
    port: int,
    *,
    timeout_s: float = 15,
    log: Path | None = None,
) -> AsyncIterator[psutil.Process]:
    """Run `argv` until the block ends; entered when it listens on `port`. What it prints goes to `log`.

    Raises:
        RuntimeError: if it ends instead, or does not listen in time; with the end of the log.
    """
    with open(log or os.devnull, "wb") as output:  # noqa: ASYNC230, PTH123  # once, at the start
        child = await asyncio.create_subprocess_exec(
            *argv, env=env, stdout=output, stderr=asyncio.subprocess.STDOUT if log else None
        )
    try:
        try:
            await until_open(port, child, timeout_s=timeout_s)
        except (TimeoutError, RuntimeError) as error:
            told = (await asyncio.to_thread(log.read_text))[-2000:] if log else ""
            raise RuntimeError(f"{argv[0]} does not listen: {error!r}\n{told}") from error
        yield psutil.Process(child.pid)
    finally:
        await _end(child)


async def _end(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        child.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(child.wait(), _STOP_S)
    except TimeoutError:
        child.kill()
        await child.wait()


@asynccontextmanager
async def running_simulator(
    latency_ms: float, **env: str
) -> AsyncIterator[tuple[psutil.Process, str]]:
    """Run a simulator as a process of its own; give it and its URL."""
    port = free_port()
    settings = {
        "PYTHONPATH": f"{ROOT / 'services'}:{ROOT / 'schemas'}",
        "CROSSDOCK_SIMULATOR_PORT": str(port),
        "CROSSDOCK_SIMULATOR_LATENCY_MS": str(latency_ms),
        "CROSSDOCK_LOG_LEVEL": "WARNING",
    }
    argv = (sys.executable, "-m", "crossdock.simulator.main")
    async with running(argv, settings | env, port) as process:
        yield process, f"http://127.0.0.1:{port}"


def family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def cpu_s(process: psutil.Process) -> float:
    """Return the CPU seconds of a process and its living children, user and system."""
    times = [member.cpu_times() for member in family(process)]
    return float(sum(t.user + t.system for t in times))


def peak_mib(process: psutil.Process) -> float:
    """Return the peak resident memory of a process and its children, as the kernel kept it."""
    return sum(map(_peak_kib, family(process))) / 1024


def _peak_kib(process: psutil.Process) -> float:
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        return float(process.memory_info().rss / 1024)
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return float(line.split()[1])
