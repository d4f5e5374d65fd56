"""Child processes: they die with their parent, are recognized by pid and start time, and stop in order."""

import asyncio
import ctypes
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1
_LOG_LIMIT = 16_777_216  # bytes; a longer log replaces the earlier copy beside it


@dataclass(frozen=True)
class ProcessSpec:
    """A process to run. It is ready when `ops_port` answers /ready, or, without one, when `open_port` is open."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    ops_port: int | None = None
    open_port: int | None = None
    stop_s: float = 25.0
    folder: Path | None = None
    """The working directory."""


@dataclass
class Child:
    """A spec and its current process."""

    spec: ProcessSpec
    log: Path
    process: asyncio.subprocess.Process | None = None
    started_at: float = 0.0
    restarts: int = 0
    state: str = "stopped"
    on_change: Callable[[], None] = field(default=lambda: None)

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process is not None else None

    def become(self, state: str) -> None:
        if state != self.state:
            self.state = state
            self.on_change()

    async def start(self) -> None:
        """Start the process in a session of its own, its output in the log."""
        with self.log.open("ab") as out:
            self.process = await asyncio.create_subprocess_exec(
                *self.spec.argv,
                env=dict(self.spec.env),
                cwd=self.spec.folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=_die_with(os.getpid()),  # no thread holds a lock here
            )
        self.started_at = psutil.Process(self.process.pid).create_time()
        self.become("starting")

    async def stop(self) -> bool:
        """Stop the process; return False if it had to be killed."""
        process = self.process
        if process is None or process.returncode is not None:
            return True
        self.become("stopping")
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), self.spec.stop_s)
        except TimeoutError:
            process.kill()
            await process.wait()
            return False
        return True

    def shorten_log(self, limit: int = _LOG_LIMIT) -> None:
        """Copy a long log and empty it while its process continues to write; on a full disk it is only emptied."""
        try:
            if self.log.stat().st_size <= limit:
                return
            with suppress(OSError):
                shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
            os.truncate(self.log, 0)
        except OSError:
            return

    def last_lines(self, count: int = 5) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])
        except OSError:
            return ""


def _die_with(parent: int) -> Callable[[], None]:
    """Return the first action of a child: on Linux the kernel shall kill it when its parent dies."""

    def ask() -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)

    return ask


def find(entry: Mapping[str, float]) -> psutil.Process | None:
    """Return the process of an entry of the state, if pid and start time are the same."""
    try:
        process = psutil.Process(int(entry["pid"]))
        is_same = abs(process.create_time() - entry["started_at"]) < 1.0
        is_alive = process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    return process if is_same and is_alive else None


def end_leftovers(processes: Sequence[Mapping[str, float]]) -> list[int]:
    """Kill the processes that an earlier supervisor left; return their pids."""
    ended = []
    for process in filter(None, map(find, processes)):
        try:
            process.kill()
            process.wait(10)
            ended.append(process.pid)
        except (psutil.NoSuchProcess, psutil.TimeoutExpired, psutil.AccessDenied):
            continue
    return ended
