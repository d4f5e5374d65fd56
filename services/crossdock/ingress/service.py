"""The service: the views catch up first, then the socket opens; the stop is in reverse order."""

import asyncio
import socket
from collections.abc import Sequence

import structlog
from starlette.types import ASGIApp

from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.openai.retention import Sweep
from crossdock.ingress.server import make_registry, serve
from crossdock.kernel.drivers.kafka import Tail
from crossdock.kernel.process.health import Health

log: structlog.stdlib.BoundLogger = structlog.get_logger()

FIRST = "org_local"
FOUNDED_S = 0.5  # between two checks for the first organization, which provisioning creates
DRAIN_SHARE = 0.8  # of the time to stop is for callers; the rest for tails and drivers


class IngressService:
    """Runs tails, outbox, sweep and server. Ready once the views have caught up."""

    def __init__(
        self,
        context: ApiContext,
        app: ASGIApp,
        bound: socket.socket,
        tails: Sequence[Tail],
        health: Health,
    ) -> None:
        self._context = context
        self._app = app
        self._bound = bound
        self._tails = tails
        self._health = health
        self._registry = make_registry(context.settings)
        health.report(self._numbers)
        health.lag = self._lag
        health.check("outbox", self._why_stuck)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set.

        Raises:
            LogError: if Kafka refuses to be read.
        """
        done = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for tail in self._tails:
                group.create_task(tail.run(done))
            group.create_task(self._context.outbox.run(done))
            if await self._caught_up(stop):
                sweeping = group.create_task(self._sweep(done))
                await self._serve(stop)
                sweeping.cancel()
            done.set()
            self._context.outbox.wake()

    async def _caught_up(self, stop: asyncio.Event) -> bool:
        """Wait for the views; return False if `stop` is set before they have caught up."""
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(stop.wait())
            waiting = group.create_task(self._all_tails())
            await asyncio.wait((stopping, waiting), return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            waiting.cancel()
        return not stop.is_set()

    async def _all_tails(self) -> None:
        for tail in self._tails:
            await tail.caught_up.wait()
        accounts = self._context.accounts
        while not accounts.is_founded:
            await accounts.arrivals.until(
                FIRST, lambda: accounts.is_founded or None, timeout_s=FOUNDED_S
            )

    async def _serve(self, stop: asyncio.Event) -> None:
        host, port = self._bound.getsockname()[:2]
        log.info("ingress.started", host=host, port=port)
        self._health.clear("start")
        drain_s = self._context.settings.drain_s * DRAIN_SHARE
        await serve(
            self._app, self._bound, stop, self._registry, self._context.clock, drain_s=drain_s
        )

    async def _sweep(self, done: asyncio.Event) -> None:
        if self._context.settings.ordinal == 0:
            await Sweep(self._context).run(done)

    def _why_stuck(self) -> str | None:
        is_stuck = self._context.outbox.is_stuck
        return "Kafka does not acknowledge; callers get a 503" if is_stuck else None

    def _lag(self) -> dict[str, int]:
        return {topic: lag for tail in self._tails for topic, lag in tail.lag().items()}

    def _numbers(self) -> dict[str, object]:
        return {
            "connections": len(self._registry),
            "unsent_bytes": self._registry.unsent_bytes,
            "waiting": self._context.gate.waiting,
            "held_bytes": self._context.gate.held_bytes,
            "ring": len(self._context.ring),
        }
