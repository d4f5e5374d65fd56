"""Starts an installation, keeps it running, stops it in order.

Engines start side by side, then topics and tables are created, then the stages start. A process that ends is started
again: at once the first time, then with growing pauses. Stages stop first and Kafka last, so that calls in flight can
be finished and booked.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from crossdock.kernel.process.backoff import backoff_s
from crossdock.kernel.process.errors import ProcessError
from crossdock.local.datadir import DataDir
from crossdock.local.installation import Installation
from crossdock.local.probe import is_ready
from crossdock.local.process import Child, ProcessSpec, end_leftovers

READY_S = 180.0  # limit until every process is ready
STABLE_S = 30.0  # a process that ran this long restarts without a pause
BACKOFF_LIMIT_S = 5.0
START_TRIES = 3  # a process that ends this often before it was ready stops the start
PROBE_S = 0.1
SAVE_S = 1.0  # between two tries to write the state


class Supervisor:
    """Runs one installation in a data dir that its caller has locked."""

    def __init__(
        self, data: DataDir, pid: int, *, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self._data = data
        self._pid = pid
        self._on_change = on_change
        self._stopping = False
        self._was_ready: set[str] = set()
        self._addresses: dict[str, str] = {}
        self._is_saved = True
        self._chance = random.Random()  # noqa: S311  # jitter
        self.children: list[Child] = []
        self.phase = "starting"

    async def run(self, installation: Installation, stop: asyncio.Event) -> list[str]:
        """Serve until `stop`; return the processes that had to be killed at the end.

        Raises:
            ProcessError: if a process could not start; started processes are stopped again.
        """
        end_leftovers(self._data.read_state().get("processes", []))
        self._addresses = dict(installation.addresses)
        keeping: list[asyncio.Task[None]] = []
        try:
            async with asyncio.timeout(READY_S):
                keeping += await self._start(installation.engines, stop)
                if not stop.is_set():
                    await installation.admit()
                    await self._provision(installation.provision)
                if not stop.is_set():
                    keeping += await self._start(installation.stages, stop)
            if not stop.is_set():
                self._become("ready")
            await self._serve(stop, keeping)
        except TimeoutError:
            raise ProcessError(self._late()) from None
        finally:
            self._become("stopping")
            self._stopping = True
            left = await self._stop_all()
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)
            self._become("stopped")
        return left

    async def _start(
        self, specs: Sequence[ProcessSpec], stop: asyncio.Event
    ) -> list[asyncio.Task[None]]:
        children = [Child(s, self._data.log_path(s.name), on_change=self._changed) for s in specs]
        self.children += children
        for child in children:
            await child.start()
        keeping = [asyncio.ensure_future(self._keep(child)) for child in children]  # noqa: TID251  # cancelled in run
        waiting = [self._until_ready(child) for child in children]
        stopping = asyncio.ensure_future(stop.wait())  # noqa: TID251  # cancelled below
        ready = asyncio.ensure_future(asyncio.gather(*waiting))  # noqa: TID251  # awaited below
        try:
            await asyncio.wait((ready, stopping), return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                ready.result()
        finally:
            stopping.cancel()
            ready.cancel()
            await asyncio.gather(
                ready, return_exceptions=True
            )  # otherwise its error is reported at exit
        return keeping

    async def _keep(self, child: Child) -> None:
        """Restart `child` whenever it ends, and follow its readiness."""
        quick = 0
        while not self._stopping and child.process is not None:
            started = time.monotonic()
            watching = asyncio.ensure_future(self._watch(child))  # noqa: TID251  # cancelled below
            await child.process.wait()
            watching.cancel()
            if self._stopping:
                return
            quick = 0 if time.monotonic() - started > STABLE_S else quick + 1
            child.become("restarting")
            if quick > 1:
                await asyncio.sleep(
                    backoff_s(quick - 1, base_s=0.5, limit_s=BACKOFF_LIMIT_S, chance=self._chance)
                )
            child.restarts += 1
            await self._start_again(child)

    async def _start_again(self, child: Child) -> None:
        """Start `child`; retry while the machine lacks disk or memory."""
        while not self._stopping:
            try:
                await child.start()
            except OSError:
                await asyncio.sleep(BACKOFF_LIMIT_S)
            else:
                return

    async def _watch(self, child: Child) -> None:
        while True:
            ready = await is_ready(child.spec)
            if ready:
                self._was_ready.add(child.spec.name)
            child.become("ready" if ready else "starting")
            child.shorten_log()
            await asyncio.sleep(1.0 if ready else PROBE_S)

    async def _until_ready(self, child: Child) -> None:
        while child.spec.name not in self._was_ready:
            if child.restarts >= START_TRIES:
                raise ProcessError(f"{child.spec.name} does not start: {child.last_lines(1)}")
            await asyncio.sleep(PROBE_S)

    async def _provision(self, spec: ProcessSpec) -> None:
        child = Child(spec, self._data.log_path(spec.name), on_change=self._changed)
        await child.start()
        if child.process is not None and await child.process.wait() != 0:
            reason = child.last_lines(1).removeprefix("crossdock: ")
            raise ProcessError(reason)

    async def _stop_all(self) -> list[str]:
        """Stop the stages together, then the engines, Kafka last."""
        left: list[str] = []
        engines = [
            c for c in self.children if c.spec.name.startswith(("kafka", "clickhouse", "simulator"))
        ]
        stages = [c for c in self.children if c not in engines]
        for group in (stages, [c for c in engines if c.spec.name != "kafka"], engines):
            stopped = await asyncio.gather(*(child.stop() for child in group))
            left += [c.spec.name for c, ok in zip(group, stopped, strict=True) if not ok]
            for child in group:
                child.become("stopped")
        return left

    def _late(self) -> str:
        names = [c.spec.name for c in self.children if c.state != "ready"]
        return f"not ready after {READY_S:.0f} s: {', '.join(names)}; see `crossdock logs {names[0] if names else ''}`"

    def _become(self, phase: str) -> None:
        self.phase = phase
        self._changed()

    def _changed(self) -> None:
        self._save()
        self._on_change()

    def _save(self) -> None:
        """Write the state for `crossdock status`; `_serve` retries after a full disk."""
        try:
            self._data.write_state(self.state())
        except OSError:
            self._is_saved = False
        else:
            self._is_saved = True

    async def _serve(self, stop: asyncio.Event, keeping: Sequence[asyncio.Task[None]]) -> None:
        """Wait for `stop`. A keeper that failed ends the installation: its process would stay down unnoticed."""
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), SAVE_S)
            if not self._is_saved:
                self._save()
            for task in keeping:
                if task.done():
                    task.result()

    def state(self) -> dict[str, Any]:
        """Return the state for `crossdock status`."""
        return {
            "pid": self._pid,
            "phase": self.phase,
            "addresses": self._addresses,
            "processes": [
                {
                    "name": child.spec.name,
                    "pid": child.pid or 0,
                    "started_at": child.started_at,
                    "state": child.state,
                    "restarts": child.restarts,
                    "ops_port": child.spec.ops_port,
                    "log": str(child.log),
                }
                for child in self.children
            ],
        }
