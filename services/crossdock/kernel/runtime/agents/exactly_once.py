"""Outputs exactly once: the outputs of a partition's records, and its position, are one transaction.

For consumers that keep their offsets in their group and may read records again that they sent on before (after a crash,
a rebalance or a pause of the process). The positions are on a compacted topic, with the same partition number. Opening
a partition fences the earlier owner first and reads the position then; all records below it were sent on.
"""

import asyncio
import time
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog

from crossdock.kernel.drivers.kafka import TransactionalProducer, open_transactional_producer
from crossdock.kernel.process.record import Outgoing, Record
from crossdock.kernel.process.timing import Timing
from crossdock.kernel.runtime.shard.partition_loop import read_pages

log: structlog.stdlib.BoundLogger = structlog.get_logger()

PACE_S = (
    0.02  # between two transactions of a partition: back to back they cost 25 ms each, spaced 3.5
)


@dataclass
class PartitionWriter:
    """One source partition. Invariant: `position` is the offset after the last record whose outputs are committed."""

    producer: TransactionalProducer
    stack: AsyncExitStack
    position: int
    committed_at: float = 0.0


class Once:
    """Writes the outputs of the partitions of `topic`, and their positions to `positions`."""

    def __init__(
        self, servers: str, topic: str, *, group: str, positions: str, timing: Timing
    ) -> None:
        self._servers = servers
        self._topic = topic
        self._group = group
        self._positions = positions
        self._timing = timing
        self._writers: dict[int, PartitionWriter] = {}

    async def unsent(self, partition: int, records: Sequence[Record]) -> list[Record]:
        """Return those of `records` whose outputs are not committed yet."""
        writer = await self._writer(partition)
        return [record for record in records if record.offset >= writer.position]

    async def commit(self, partition: int, outgoing: Sequence[Outgoing], position: int) -> None:
        """Commit `outgoing`, all outputs of the records below `position`.

        Raises:
            FencedError: if another process opened the partition; nothing of `outgoing` became visible.
            LogError: if Kafka refuses.
        """
        writer = await self._writer(partition)
        await asyncio.sleep(max(0.0, writer.committed_at + PACE_S - time.monotonic()))
        page = Outgoing(self._positions, self._topic.encode(), b"%d" % position, [], partition)
        await writer.producer.commit([*outgoing, page])
        writer.position = position
        writer.committed_at = time.monotonic()

    def position(self, partition: int) -> int | None:
        """Return the offset after the last record whose outputs are committed; None before the first one."""
        writer = self._writers.get(partition)
        return None if writer is None else writer.position

    async def keep_only(self, partitions: Collection[int]) -> None:
        """Close all other partitions; their new owner fences this one."""
        for partition in self._writers.keys() - set(partitions):
            writer = self._writers.pop(partition)
            await writer.stack.aclose()

    async def close(self) -> None:
        await self.keep_only(())

    async def _writer(self, partition: int) -> PartitionWriter:
        writer = self._writers.get(partition)
        if writer is None:
            writer = self._writers[partition] = await self._open(partition)
        return writer

    async def _open(self, partition: int) -> PartitionWriter:
        name = f"{self._group}.{partition}"
        async with AsyncExitStack() as stack:
            producer = await stack.enter_async_context(
                open_transactional_producer(
                    self._servers, client=name, transactional_id=name, timing=self._timing
                )
            )
            pages = await read_pages(self._servers, (self._positions, partition))
            position = int(pages.get(self._topic.encode(), b"0"))
            log.info("partition.opened", partition=partition, position=position)
            return PartitionWriter(producer, stack.pop_all(), position)
