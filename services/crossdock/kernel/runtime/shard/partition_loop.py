"""One partition of a shard: it is opened from its pages, then makes one step after the other.

A step that fails because of a record is undone: the partition is opened again from its pages, that record becomes a
dead letter, and the others are applied (`isolation`).
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack, suppress

import structlog

from crossdock.kernel.drivers.kafka import open_reader, open_transactional_producer
from crossdock.kernel.drivers.kafka.consumer import Place
from crossdock.kernel.drivers.kafka.producer import check_sizes
from crossdock.kernel.drivers.kafka.tail import reached
from crossdock.kernel.process.clock import Clock
from crossdock.kernel.process.errors import FencedError, LogError, is_poison
from crossdock.kernel.process.lifecycle import building
from crossdock.kernel.process.record import Outgoing, Page, Record, Step
from crossdock.kernel.process.timing import DEFAULT, Timing
from crossdock.kernel.runtime.shard.delay_queue import DelayQueue
from crossdock.kernel.runtime.shard.isolation import Isolation, StepFailedError
from crossdock.kernel.runtime.shard.sources import MAX_RECORDS, Sources, open_sources
from crossdock.kernel.runtime.shard.spec import PACE_S, Partition, ShardSpec
from crossdock.kernel.runtime.shard.transactions import Commits, Transactions

log: structlog.stdlib.BoundLogger = structlog.get_logger()

POSITIONS_KEY = b"positions"
COUNT_S = 5.0  # between two counts of delayed records
COUNT_LIMIT_S = 1.0
FEW = 20  # records of a step; more is load
REJOIN_S = 1.0


class PartitionLoop:
    """One partition in this worker: take over, then one step after the other until stopped or fenced."""

    def __init__(
        self,
        spec: ShardSpec,
        partition: int,
        open_shard: Callable[[int], Partition],
        servers: str,
        clock: Clock,
        *,
        timing: Timing = DEFAULT,
    ) -> None:
        self._timing = timing
        self._spec = spec
        self._partition = partition
        self._open_shard = open_shard
        self._shard = open_shard(partition)
        self._isolation = Isolation()
        self._servers = servers
        self._clock = clock
        self._sources: Sources | None = None
        self.position: dict[Place, int] = {}
        self._ends: dict[Place, int] = {}
        self._counted_at = 0.0
        self.stop = asyncio.Event()
        self.serving = False
        self.ended = False

    def end(self) -> None:
        """Finish the present step, then end."""
        self.stop.set()
        self._shard.wake.set()

    def lag(self) -> dict[str, int]:
        """Return by topic how many records wait; of delayed ones, the count is up to COUNT_S old."""
        if self._ends:
            ends = self._ends.items()
            return {place[0]: end - self.position.get(place, 0) for place, end in ends}
        return {} if self._sources is None else self._sources.lag()

    async def run(self) -> None:
        """Serve the partition until it is ended or lost. A step that a record makes fail is undone."""
        try:
            while not self.stop.is_set():
                try:
                    await self._serve()
                except StepFailedError as failed:
                    self._isolation.failed(failed)
                    await self._reopen(failed)
        finally:
            self._sources = None
            self.ended = True
        log.info("shard.closed", partition=self._partition)

    async def _reopen(self, failed: StepFailedError) -> None:
        self._sources, self.serving = None, False
        log.error(
            "step.failed",
            partition=self._partition,
            records=len(failed.records),
            reason=repr(failed.error)[:200],
            exc_info=failed.error,
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(self._isolation.rest_s):
                await self.stop.wait()
        self._shard = self._open_shard(self._partition)
        if self.stop.is_set():
            self._shard.wake.set()

    async def _serve(self) -> None:
        """Open the partition from its pages, and make steps until the end.

        Raises:
            StepFailedError: if a step failed and must be undone.
        """
        name = f"{self._spec.group}.{self._partition}"
        try:
            async with AsyncExitStack() as stack:
                producer = await stack.enter_async_context(
                    open_transactional_producer(
                        self._servers, client=name, transactional_id=name, timing=self._timing
                    )
                )
                await self._restore()
                stack.push_async_callback(self._shard.close)
                self._sources = await stack.enter_async_context(
                    open_sources(
                        self._servers,
                        self._spec.sources,
                        self._partition,
                        self.position,
                        client=f"{name}.reader",
                        wake=self._shard.wake,
                    )
                )
                self.serving = True
                log.info("shard.opened", partition=self._partition)
                await self.steps(self._sources, producer)
        except FencedError:
            log.warning("shard.fenced", partition=self._partition)
            await asyncio.sleep(REJOIN_S)  # if it is still assigned then, it is taken over again
            self.stop.set()

    async def _restore(self) -> None:
        pages = await read_pages(self._servers, (self._spec.state, self._partition))
        stored = pages.pop(POSITIONS_KEY, b"{}")
        self.position = {(topic, self._partition): at for topic, at in json.loads(stored).items()}
        with building():
            self._shard.restore(Page(key, value) for key, value in pages.items())

    async def steps(self, sources: Sources, producer: Transactions) -> None:
        """Poll, apply and commit until the loop is ended."""
        delayed = DelayQueue(self._spec.ready_ms) if self._spec.ready_ms else None
        async with Commits(producer, self._shard.committed) as commits:
            is_load, pace_s = False, self._spec.quick_s
            while not self.stop.is_set():
                records = await sources.next(self.stop)
                if is_load or not self._spec.is_ahead:
                    await commits.rest(pace_s)
                    records += sources.take()
                if delayed is not None:
                    delayed.add(records)
                    records = delayed.take(self._clock.now_ms())
                    sources.pause_only(delayed.full())
                    await self._count(sources)
                for portion in self._isolation.portions(records):
                    try:
                        messages = await self._step(portion)
                    except StepFailedError:
                        await commits.settle()  # the step before it is sound
                        raise
                    await commits.rest(pace_s)
                    commits.begin(messages)
                    if self._isolation.is_on or not self._spec.is_ahead:
                        await commits.settle()
                        self._isolation.committed(portion)
                    if self.stop.is_set():
                        break
                is_load = FEW < len(records) < MAX_RECORDS
                pace_s = PACE_S if is_load else self._spec.quick_s

    async def _step(self, records: Sequence[Record]) -> list[Outgoing]:
        """Apply `records`, and return all records of the transaction.

        Raises:
            StepFailedError: if a record is at fault, or the state; nothing was sent.
        """
        sound = [record for record in records if not self._isolation.has(record)]
        shard = self._shard
        try:
            step = await shard.step(sound)
            if len(sound) < len(records):
                step.outgoing += await self._aside(records)
            last = {record.topic: record.offset for record in records}
            self.position |= {(topic, self._partition): at + 1 for topic, at in last.items()}
            messages = self._messages(step) if records or step else []
            check_sizes(messages)
        except Exception as error:  # the runtime's outermost guard: no record ends a stage
            if not is_poison(error):
                raise
            raise StepFailedError(records, shard.applying, error) from error
        return messages

    async def _aside(self, records: Iterable[Record]) -> list[Outgoing]:
        """Return the dead letters of the records that made an earlier step fail."""
        sent: list[Outgoing] = []
        for record in records:
            error = self._isolation.error_of(record)
            if error is None:
                continue
            try:
                sent += await self._shard.set_aside(record, error)
            except (
                Exception
            ) as again:  # a guard: the partition must not wait for this record for ever
                if not is_poison(again):
                    raise
                log.exception("record.skipped", topic=record.topic, offset=record.offset)
        return sent

    async def _count(self, sources: Sources) -> None:
        """Ask for the ends of the topics, which a paused consumer does not see. If Kafka is away, ask later."""
        if time.monotonic() - self._counted_at < COUNT_S:
            return
        self._counted_at = time.monotonic()
        with suppress(LogError, TimeoutError):
            async with asyncio.timeout(COUNT_LIMIT_S):
                self._ends = await sources.ends()

    def _messages(self, step: Step) -> list[Outgoing]:
        positions = {topic: at for (topic, _), at in self.position.items()}
        pages = [*step.pages, Page(POSITIONS_KEY, json.dumps(positions).encode())]
        return [
            *step.outgoing,
            *(Outgoing(self._spec.state, p.key, p.value, [], self._partition) for p in pages),
        ]


async def read_pages(servers: str, place: Place) -> dict[bytes, bytes]:
    """Return the newest value of each key of a compacted partition, read to its end."""
    pages: dict[bytes, bytes] = {}
    async with open_reader(servers, [place], client=f"{place[0]}.{place[1]}.restore") as reader:
        ends = await reader.end_offsets([place])
        # the reader's own stall detector ends a stalled read
        while not await reached(reader, ends):
            for record in await reader.poll(max_records=10_000, timeout_ms=200):
                key = record.key or b""
                if record.value is None:
                    pages.pop(key, None)
                else:
                    pages[key] = record.value
    return pages
