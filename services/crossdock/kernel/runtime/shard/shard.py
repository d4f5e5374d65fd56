"""The shape "shard": a partition owned by one worker.

Its state is a pure function of the records that it has read. One loop: poll, apply, then *one Kafka transaction* that
writes all outputs, the changed pages of the state and the source positions. So after a crash either all of a step is
visible or none of it, and the next owner continues at the positions in the state itself.

A consumer group assigns partitions, and the broker excludes earlier owners: opening a partition's transactional
producer fences them. Group offsets are committed from time to time, as a hint for lag tools only.
"""

import asyncio
import time
from collections.abc import Callable, Collection

from crossdock.kernel.drivers.kafka import open_group_consumer
from crossdock.kernel.drivers.kafka.consumer import Place
from crossdock.kernel.process.clock import Clock, SystemClock
from crossdock.kernel.process.health import Health
from crossdock.kernel.process.timing import DEFAULT, Timing
from crossdock.kernel.runtime.shard.partition_loop import PartitionLoop
from crossdock.kernel.runtime.shard.spec import Partition, ShardSpec

HINT_S = 5.0


class ShardWorker:
    """Runs a `Partition` for each partition that the group assigns."""

    def __init__(
        self,
        spec: ShardSpec,
        open_partition: Callable[[int], Partition],
        *,
        servers: str,
        instance: str,
        health: Health,
        clock: Clock | None = None,
        timing: Timing = DEFAULT,
    ) -> None:
        self._timing = timing
        self._clock = clock or SystemClock()
        self._spec = spec
        self._open_partition = open_partition
        self._servers = servers
        self._instance = instance
        self._health = health
        self._loops: dict[int, PartitionLoop] = {}
        health.lag = self._lag

    async def run(self, stop: asyncio.Event) -> None:
        """Own the assigned partitions until `stop`, then finish the present step and leave.

        Raises:
            LogError: if the broker refuses.
        """
        spec = self._spec
        async with (
            open_group_consumer(
                self._servers,
                spec.sources,
                group=spec.group,
                instance=self._instance,
                timing=self._timing,
            ) as member,
            asyncio.TaskGroup() as group,
        ):
            hinted = time.monotonic()
            while not stop.is_set():
                self._follow(member.assignment(), group)
                member.forget_pauses()
                member.pause_only(member.assignment())
                await member.poll(max_records=1, timeout_ms=200)
                if time.monotonic() - hinted > HINT_S:
                    hinted = time.monotonic()
                    if positions := self._positions():
                        await member.commit(positions)
            for loop in self._loops.values():
                loop.end()

    def _follow(self, assignment: Collection[Place], group: asyncio.TaskGroup) -> None:
        """Start loops for new partitions, and end those of lost ones. A partition that came back keeps its loop."""
        owned = {partition for _, partition in assignment}
        for partition, loop in list(self._loops.items()):
            if partition not in owned:
                loop.end()
            if loop.ended:
                del self._loops[partition]
        for partition in owned - self._loops.keys():
            loop = PartitionLoop(
                self._spec,
                partition,
                self._open_partition,
                self._servers,
                self._clock,
                timing=self._timing,
            )
            self._loops[partition] = loop
            group.create_task(loop.run(), name=f"{self._spec.group}.{partition}")
        if owned and all(loop.serving for loop in self._loops.values()):
            self._health.clear("start")

    def _positions(self) -> dict[Place, int]:
        return {place: at for loop in self._loops.values() for place, at in loop.position.items()}

    def _lag(self) -> dict[str, int]:
        lags: dict[str, int] = {}
        for loop in self._loops.values():
            for topic, lag in loop.lag().items():
                lags[topic] = lags.get(topic, 0) + lag
        return lags
