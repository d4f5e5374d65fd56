"""The topics that a shard's partition reads, each by a consumer of its own, and all of them polled at once.

Why not one consumer for all: aiokafka has one fetch under way for each broker. While records of one topic wait to be
taken, it fetches the others; and until that fetch ends, which is after FETCH_WAIT_MS where they are empty, it does not
fetch the first one again, which has a backlog.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from crossdock.kernel.drivers.kafka import open_reader
from crossdock.kernel.drivers.kafka.consumer import Place
from crossdock.kernel.process.record import Record

MAX_RECORDS = 1000  # of one topic, at once
IDLE_S = 0.5  # a shard makes a step this often even when nothing came, for what is due by time
FETCH_WAIT_MS = 1500  # what comes ends it; so long an idle consumer asks for nothing new


class Reader(Protocol):
    """What a source needs of a consumer."""

    def assignment(self) -> frozenset[Place]: ...
    def lag(self) -> dict[str, int]: ...
    def pause_only(self, places: Collection[Place]) -> None: ...
    async def poll(self, *, max_records: int, timeout_ms: int) -> list[Record]: ...
    async def end_offsets(self, places: Collection[Place]) -> dict[Place, int]: ...


class Source:
    """One topic. It keeps one poll in flight, so that waking up for something else never loses a record."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._polling: asyncio.Task[list[Record]] | None = None

    def poll(self) -> asyncio.Task[list[Record]]:
        """Return the poll in flight; begin one where there is none."""
        if self._polling is None:
            self._polling = self._begin()
        return self._polling

    def _begin(self) -> asyncio.Task[list[Record]]:
        poll = self.reader.poll(max_records=MAX_RECORDS, timeout_ms=1000)
        return asyncio.ensure_future(poll)  # noqa: TID251  # owned by this object

    def take(self) -> list[Record]:
        """Return what the poll in flight brought, if it ended; then the next one begins."""
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

    def __init__(self, sources: Sequence[Source], wake: asyncio.Event) -> None:
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
        """Return what came, without waiting."""
        return [record for source in self._sources for record in source.take()]

    def pause_only(self, places: Collection[Place]) -> None:
        for source in self._sources:
            source.reader.pause_only(places)

    def lag(self) -> dict[str, int]:
        """Return by topic how many records wait, as the last fetch saw it."""
        return {
            topic: lag for source in self._sources for topic, lag in source.reader.lag().items()
        }

    async def ends(self) -> dict[Place, int]:
        """Ask where the topics end."""
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
    """Open `topics` of one partition, each from its `position` on, or from its beginning. `wake` ends a wait."""
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
            sources.append(Source(reader))
            stack.push_async_callback(sources[-1].close)
        yield Sources(sources, wake)
