"""The process of a sink stage: consumer, tables and dead letters around a `Sink`."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field

from crossdock.kernel.drivers.kafka import Producer, open_group_consumer
from crossdock.kernel.process.lifecycle import beside
from crossdock.kernel.runtime.assignment import AssignmentWatch
from crossdock.kernel.runtime.dead_letters import DeadLetters
from crossdock.kernel.runtime.sink.batch import CutPolicy
from crossdock.kernel.runtime.sink.sink import Decode, Place, Sink, SinkTables
from crossdock.kernel.runtime.stage import StageProcess


@dataclass(frozen=True)
class SinkSpec:
    """A sink stage: its group, the topics that it reads, and their rows."""

    group: str
    sources: tuple[str, ...]
    decode: Decode


@dataclass
class SinkWorker:
    """Runs a sink until it is stopped."""

    spec: SinkSpec
    stage: StageProcess
    tables: SinkTables
    producer: Producer
    policy: CutPolicy
    _sink: Sink | None = field(init=False, default=None)

    async def run(self, stop: asyncio.Event) -> None:
        """Insert until `stop`; then insert and commit the rest."""
        stage, spec = self.stage, self.spec
        async with open_group_consumer(
            stage.servers,
            spec.sources,
            group=spec.group,
            instance=stage.settings.instance,
            on_revoked=self._forget,
            timing=stage.settings.timing,
        ) as consumer:
            sink = self._sink = Sink(
                consumer,
                self.tables,
                spec.decode,
                self.producer,
                DeadLetters(stage.name, stage.clock),
                policy=self.policy,
                health=stage.health,
            )
            stage.health.lag = consumer.lag
            stage.health.report(lambda: {"waiting": sink.waiting})
            stage.health.clear("start")
            watch = AssignmentWatch(consumer, spec.sources, stage.health)
            async with beside(watch.run()):
                await sink.run(stop)

    async def _forget(self, places: Collection[Place]) -> None:
        if self._sink is not None:
            await self._sink.forget(places)
