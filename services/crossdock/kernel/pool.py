"""The shape "pool": slow side effects, out of order.

The poll loop never waits for work. A bounded amount is in flight; what would overfill it stays in Kafka, its partition
paused. An offset is committed only up to the first unfinished record of its partition, so a crash repeats work and
loses none. Before a rebalance what runs is finished and committed, so work shorter than HAND_OVER_S is not repeated by
it.

Fates of a record: done (its handler returned); a dead letter (UndecodableError: told to `dead_letter`, then done);
anything else that a handler raises ends the process, and the record is delivered again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Protocol

import structlog

from crossdock.kernel import metrics
from crossdock.kernel.errors import UndecodableError
from crossdock.kernel.lookahead import Item, LookAhead, Place, Share
from crossdock.kernel.offsets import Offsets
from crossdock.kernel.record import Record

log: structlog.stdlib.BoundLogger = structlog.get_logger()

HAND_OVER_S = 30.0  # half of the group's rebalance timeout
COMMIT_S = 0.2  # what a crash repeats of finished work
POLL_MS = 200
FULL_POLL_MS = 20  # while a partition is paused: look soon whether it has room again
MAX_RECORDS = 50
BYTES_PER_UNIT = 65_536


class Source(Protocol):
    """What a pool needs of a `GroupConsumer`."""

    def assignment(self) -> frozenset[Place]: ...
    async def poll(self, *, max_records: int, timeout_ms: int) -> list[Record]: ...
    def pause_only(self, places: Collection[Place]) -> None: ...
    def forget_pauses(self) -> None: ...
    async def commit(self, position: dict[Place, int]) -> bool: ...


Handle = Callable[[Record], Awaitable[None]]
"""Returns when everything that came of the record is acknowledged."""
DeadLetter = Callable[[Record, UndecodableError], Awaitable[None]]
"""Keeps what cannot be read; the record is done when it returns."""


async def log_dead_letter(record: Record, error: UndecodableError) -> None:
    """Count and log a dead letter; the record itself stays in its topic until that forgets it."""
    metrics.DEAD_LETTERS.labels(record.topic).inc()
    log.error(
        "record.undecodable",
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        reason=str(error)[:200],
    )


class Pool:
    """Runs `handle` for each record, at most `capacity` units of `weigh(record)` at once.

    `draining` is set while the pool wants to come to rest (a rebalance, the end): a handler that only waits should
    give its work back then.
    """

    def __init__(
        self,
        source: Source,
        handle: Handle,
        *,
        capacity: int,
        weigh: Callable[[Record], int],
        share_of: Callable[[str], Share] | None = None,
        dead_letter: DeadLetter = log_dead_letter,
        draining: asyncio.Event | None = None,
        commit_s: float = COMMIT_S,
    ) -> None:
        self._source = source
        self._handle = handle
        self._dead_letter = dead_letter
        whole = Share("all", capacity)
        self._ahead = LookAhead(capacity, weigh=weigh, share_of=share_of or (lambda _: whole))
        self._offsets: dict[Place, Offsets] = {}
        self._group = asyncio.TaskGroup()
        self._is_stopping = False
        self._finished = asyncio.Event()
        self._draining = draining or asyncio.Event()
        self._commit_s = commit_s

    @property
    def in_flight(self) -> int:
        """Units of work running."""
        return self._ahead.running

    @property
    def waiting(self) -> int:
        """Units of work polled, not begun."""
        return self._ahead.waiting

    async def hand_over(self, _: Collection[Place]) -> None:
        """Before a rebalance: begin nothing new, finish and commit what runs, forget the rest.

        (Assignment is eager: every partition is revoked, and what is ours again starts at its committed offset.)
        """
        self._draining.set()
        self._ahead.forget()
        await self._drain(HAND_OVER_S)
        await self._commit()
        self._ahead.forget()
        self._offsets.clear()
        self._source.forget_pauses()
        if not self._is_stopping:
            self._draining.clear()

    async def run(self, stop: asyncio.Event) -> None:
        """Poll and work until `stop`; then finish what is in flight and commit it."""
        async with self._group:
            committed = time.monotonic()
            while not stop.is_set():
                await self._poll()
                self._begin()
                if time.monotonic() - committed > self._commit_s:
                    committed = time.monotonic()
                    await self._commit()
            self._is_stopping = True
            self._draining.set()
            self._ahead.forget()
            await self._drain(None)
        if not await self._commit():
            log.warning("pool.commit_refused", remedy="what was finished last is worked on again")

    async def _poll(self) -> None:
        full = self._ahead.full()
        self._source.pause_only(full)
        records = await self._source.poll(
            max_records=MAX_RECORDS, timeout_ms=FULL_POLL_MS if full else POLL_MS
        )
        if not records or self._draining.is_set():
            return  # delivered again after the rebalance, to whoever owns it then
        owned = self._source.assignment()
        for record in records:
            if record.place in owned:
                self._take(record)

    def _take(self, record: Record) -> None:
        offsets = self._offsets.get(record.place)
        if offsets is None:
            offsets = self._offsets[record.place] = Offsets(record.offset)
        offsets.taken(record.offset)
        self._ahead.take(record)

    def _begin(self) -> None:
        if self._draining.is_set():
            return
        for item in self._ahead.begin():
            self._group.create_task(self._work(item, self._offsets[item.record.place]))
        metrics.IN_FLIGHT.set(self._ahead.running)

    async def _work(self, item: Item, offsets: Offsets) -> None:
        record = item.record
        try:
            await self._handle(record)
        except UndecodableError as error:
            await self._dead_letter(record, error)
        finally:
            self._ahead.release(item)
            self._finished.set()
        offsets.done(record.offset)
        self._begin()

    async def _drain(self, limit_s: float | None) -> None:
        try:
            async with asyncio.timeout(limit_s):
                while self._ahead.running:
                    self._finished.clear()
                    await self._finished.wait()
        except TimeoutError:
            log.warning("pool.hand_over_expired", left=self._ahead.running)

    async def _commit(self) -> bool:
        """Commit what is safe; say whether nothing is left to commit."""
        position = {
            place: safe
            for place, offsets in self._offsets.items()
            if (safe := offsets.to_commit()) is not None
        }
        if not position:
            return True
        if not await self._source.commit(position):
            return False
        for place, offset in position.items():
            if place in self._offsets:
                self._offsets[place].committed(offset)
        return True


def lines_weight(record: Record) -> int:
    """A rough weight without decoding: the number of lines in the value, or its size where that is more."""
    value = record.value or b""
    return max(1 + value.count(b"\n"), len(value) // BYTES_PER_UNIT)
