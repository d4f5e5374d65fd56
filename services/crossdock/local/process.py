"""Child processes: started so that they die with us, known again by pid and start time, stopped in order."""

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
_LOG_LIMIT = 16_777_216  # bytes; a longer log is moved aside, in place of the one before


@dataclass(frozen=True)
class ProcessSpec:
    """What to run. `ops_port` answers /ready; without one, `open_port` accepting connections means ready."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    ops_port: int | None = None
    open_port: int | None = None
    stop_s: float = 25.0


@dataclass
class Child:
    """A spec and its present process."""

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
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=_die_with(os.getpid()),  # no threads of ours hold locks here
            )
        self.started_at = psutil.Process(self.process.pid).create_time()
        self.become("starting")

    async def stop(self) -> bool:
        """Ask the process to end, then end it; False if it had to be killed."""
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
        """Move a long log aside while its process goes on writing; on a full disk it is dropped instead."""
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
    """Return what a child does first: on Linux, have the kernel kill it when its parent dies."""

    def ask() -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)

    return ask


def find(entry: Mapping[str, float]) -> psutil.Process | None:
    """Return the process of an entry of the state, if it is what it was: same pid and same start time."""
    try:
        process = psutil.Process(int(entry["pid"]))
        is_same = abs(process.create_time() - entry["started_at"]) < 1.0
        is_alive = process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    return process if is_same and is_alive else None


def end_leftovers(processes: Sequence[Mapping[str, float]]) -> list[int]:
    """Kill what an earlier supervisor left. Return the pids."""
    ended = []
    for process in filter(None, map(find, processes)):
        try:
            process.kill()
            process.wait(10)
            ended.append(process.pid)
        except (psutil.NoSuchProcess, psutil.TimeoutExpired, psutil.AccessDenied):
            continue
    return ended
