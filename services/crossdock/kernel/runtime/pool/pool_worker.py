"""The process of a pool stage: tails, claims, consumer, and the order in which they start and stop.

Start: the tails read their topics to the end, then the background work begins, then the first record. Stop: running
work ends and is published and committed; then the background work is cancelled; the tails stop last.
"""

import asyncio
import secrets
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from crossdock.kernel.drivers.kafka import (
    GroupConsumer,
    Producer,
    Tail,
    open_group_consumer,
    topics_of,
)
from crossdock.kernel.process.errors import LogError
from crossdock.kernel.process.lifecycle import beside
from crossdock.kernel.process.record import Record
from crossdock.kernel.runtime.assignment import AssignmentWatch
from crossdock.kernel.runtime.pool.claim_reader import ClaimReader, open_claims
from crossdock.kernel.runtime.pool.claim_writer import ClaimWriter, Job
from crossdock.kernel.runtime.pool.pool import Pool
from crossdock.kernel.runtime.pool.scheduler import Place, WorkShare
from crossdock.kernel.runtime.stage import StageProcess

MISSING_S = 2.0  # between two looks for topics that do not exist yet


@dataclass(frozen=True)
class PoolSpec:
    """A pool stage: its group, and how much of the capacity a record takes."""

    group: str
    weigh: Callable[[Record], int]


class PoolHandler(Protocol):
    """A stage's work."""

    async def handle(self, job: Job) -> None:
        """Do the work of a record; return when its outputs are acknowledged and its claims are ended."""

    async def dead_letter(self, record: Record, error: Exception) -> None:
        """Keep a record that cannot be read or handled; it is done when this returns."""


@dataclass
class PoolWorker:
    """Runs a pool over the topics of `shares`, `capacity` units at once."""

    spec: PoolSpec
    stage: StageProcess
    producer: Producer
    shares: dict[str, WorkShare]
    capacity: int
    tails: list[Tail] = field(default_factory=list)
    """Views that must be complete before the first record."""
    background: list[Callable[[], Coroutine[Any, Any, None]]] = field(default_factory=list)
    """Runs from before the first record until after the last one."""
    beside: list[Callable[[asyncio.Event], Coroutine[Any, Any, None]]] = field(default_factory=list)
    """Runs beside the pool until `stop`."""
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the pool comes to its end: work that only waits is given back."""
    claims: ClaimWriter = field(init=False)
    _pool: Pool | None = field(init=False, default=None)
    _changed: asyncio.Event = field(init=False, default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        stage = self.stage
        self.claims = ClaimWriter(
            self.producer,
            stage.clock,
            worker=stage.client,
            claim=secrets.token_hex(8),
            source=f"crossdock/{stage.name}",
            timing=stage.settings.timing,
        )

    @property
    def in_flight(self) -> int:
        return 0 if self._pool is None else self._pool.in_flight

    def read(self, shares: Mapping[str, WorkShare]) -> None:
        """Read the topics of `shares` too from now on, as soon as they exist. A topic that was read is read on."""
        is_more = not shares.keys() <= self.shares.keys()
        self.shares |= shares
        if is_more:
            self._changed.set()

    async def run(self, handler: PoolHandler, stop: asyncio.Event) -> None:
        """Work until `stop`; then finish, publish and commit the running work."""
        ended = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for tail in self.tails:
                group.create_task(tail.run(ended))
            for tail in self.tails:
                await tail.caught_up.wait()
            background = [group.create_task(run()) for run in (self.claims.run, *self.background)]
            for service in self.beside:
                group.create_task(service(stop))
            await self._work(handler, stop)
            for task in background:
                task.cancel()
            ended.set()

    async def _work(self, handler: PoolHandler, stop: asyncio.Event) -> None:
        settings = self.stage.settings
        async with open_group_consumer(
            self.stage.servers,
            list(self.shares),
            group=self.spec.group,
            instance=settings.instance,
            on_revoked=self._hand_over,
            on_assigned=self._assigned,
            timing=settings.timing,
        ) as consumer:
            self._pool = Pool(
                consumer,
                handler.handle,
                self.claims,
                self._open_claims,
                self.stage.clock,
                capacity=self.capacity,
                weigh=self.spec.weigh,
                share_of=self.shares.__getitem__,
                dead_letter=handler.dead_letter,
                draining=self.draining,
            )
            self._report(consumer, self._pool)
            watch = AssignmentWatch(consumer, self.shares, self.stage.health)
            async with beside(watch.run()), beside(self._follow(consumer)):
                await self._pool.run(stop)

    async def _follow(self, consumer: GroupConsumer) -> None:
        """Let `consumer` read new topics of `shares`, until cancelled. A topic may be created after it is wished."""
        read = set(self.shares)
        while True:
            await self._changed.wait()
            self._changed.clear()
            existing = await self._existing(read)
            if existing != read:
                read = existing
                await consumer.resubscribe(sorted(read))
            if read != self.shares.keys():
                await asyncio.sleep(MISSING_S)
                self._changed.set()

    async def _existing(self, read: set[str]) -> set[str]:
        """Return the topics of `shares` that exist; `read`, the present ones, while Kafka does not answer."""
        try:
            return set(await topics_of(self.stage.servers)) & self.shares.keys()
        except LogError:
            return read

    def _open_claims(self, starts: Mapping[int, int]) -> AbstractAsyncContextManager[ClaimReader]:
        return open_claims(self.stage.servers, starts, client=f"{self.stage.client}.claims")

    def _report(self, consumer: GroupConsumer, pool: Pool) -> None:
        health = self.stage.health
        health.lag = consumer.lag
        health.report(
            lambda: {
                "in_flight": pool.in_flight,
                "waiting": pool.waiting,
                "partitions": len(consumer.assignment()),
            }
        )
        health.check("takeover", lambda: pool.taking_over)
        health.clear("start")

    async def _hand_over(self, places: Collection[Place]) -> None:
        if self._pool is not None:
            await self._pool.hand_over(places)

    async def _assigned(self, places: Collection[Place]) -> None:
        if self._pool is not None:
            await self._pool.assigned(places)
