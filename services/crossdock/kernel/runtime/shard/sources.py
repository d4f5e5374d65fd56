"""The topics of a shard's partition: each has its own consumer, and all are polled at the same time.

Why not one consumer for all: aiokafka has one fetch under way for each broker. While records of one topic wait to be
taken, it fetches the others. If these are empty, that fetch lasts FETCH_WAIT_MS, and meanwhile the topic with a
backlog is not fetched.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from crossdock.kernel.drivers.kafka import open_reader
from crossdock.kernel.drivers.kafka.consumer import Place
from crossdock.kernel.process.record import Record

MAX_RECORDS = 1000  # of one topic, at once
IDLE_S = 0.5  # a shard makes a step this often even without records: some work is due by time
FETCH_WAIT_MS = 1500  # a record ends the wait; an idle consumer sends no other request so long


class TopicReader(Protocol):
    """A consumer, as far as a source needs it."""

    def assignment(self) -> frozenset[Place]: ...
    def lag(self) -> dict[str, int]: ...
    def pause_only(self, places: Collection[Place]) -> None: ...
    async def poll(self, *, max_records: int, timeout_ms: int) -> list[Record]: ...
    async def end_offsets(self, places: Collection[Place]) -> dict[Place, int]: ...


class TopicSource:
    """One topic. It keeps one poll in flight, so that no record is lost when something else ends the wait."""

    def __init__(self, reader: TopicReader) -> None:
        self.reader = reader
        self._polling: asyncio.Task[list[Record]] | None = None

    def poll(self) -> asyncio.Task[list[Record]]:
        """Return the poll in flight; begin one if there is none."""
        if self._polling is None:
            self._polling = self._begin()
        return self._polling

    def _begin(self) -> asyncio.Task[list[Record]]:
        poll = self.reader.poll(max_records=MAX_RECORDS, timeout_ms=1000)
        return asyncio.ensure_future(poll)  # noqa: TID251  # owned by this object

    def take(self) -> list[Record]:
        """Return the records of the poll in flight if it ended, and begin the next one."""
        polling = self.poll()
        if not polling.done():
            return []
        self._polling = None  # also where it failed
        records = polling.result()
        self._polling = self._begin()
        return records

    async def close(self) -> None:
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.wait((self._polling,))


class Sources:
    """All topics of a partition."""

    def __init__(self, sources: Sequence[TopicSource], wake: asyncio.Event) -> None:
        self._sources = sources
        self._wake = wake

    async def next(self, stop: asyncio.Event) -> list[Record]:
        """Return records as soon as there are some; an empty list when woken, stopped or idle."""
        if not self._wake.is_set():
            waiting = asyncio.ensure_future(self._wake.wait())  # noqa: TID251  # cancelled below
            await asyncio.wait(
                [waiting, *(source.poll() for source in self._sources)],
                timeout=IDLE_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
            waiting.cancel()
        self._wake.clear()
        return [] if stop.is_set() else self.take()

    def take(self) -> list[Record]:
        """Return the records that have come, without waiting."""
        return [record for source in self._sources for record in source.take()]

    def pause_only(self, places: Collection[Place]) -> None:
        for source in self._sources:
            source.reader.pause_only(places)

    def lag(self) -> dict[str, int]:
        """Return by topic how many records wait, as of the last fetch."""
        return {
            topic: lag for source in self._sources for topic, lag in source.reader.lag().items()
        }

    async def ends(self) -> dict[Place, int]:
        """Ask for the ends of the topics."""
        found = [await s.reader.end_offsets(s.reader.assignment()) for s in self._sources]
        return {place: end for ends in found for place, end in ends.items()}


@asynccontextmanager
async def open_sources(
    servers: str,
    topics: Sequence[str],
    partition: int,
    position: Mapping[Place, int],
    *,
    client: str,
    wake: asyncio.Event,
) -> AsyncIterator[Sources]:
    """Open `topics` of one partition, each from its `position`, or from its beginning. `wake` ends a wait."""
    async with AsyncExitStack() as stack:
        sources = []
        for topic in topics:
            place = (topic, partition)
            reader = await stack.enter_async_context(
                open_reader(
                    servers, [place], client=f"{client}.{topic}", fetch_wait_ms=FETCH_WAIT_MS
                )
            )
            if place in position:
                await reader.seek(place, position[place])
            sources.append(TopicSource(reader))
            stack.push_async_callback(sources[-1].close)
        yield Sources(sources, wake)
