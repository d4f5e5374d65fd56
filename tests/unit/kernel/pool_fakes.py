"""A pool between a log in memory, a log of claims in memory, and work that ends when it is told to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from crossdock.kernel.process.clock import ManualClock
from crossdock.kernel.process.record import Outgoing, Record
from crossdock.kernel.runtime.pool.claim_writer import ClaimWriter, Job
from crossdock.kernel.runtime.pool.claims import ClaimsView
from crossdock.kernel.runtime.pool.pool import Pool
from crossdock.kernel.runtime.pool.scheduler import Place
from crossdock_schemas.calls.claim import ClaimNote

PLACE = ("t", 0)


def make_record(offset: int, *, topic: str = "t", value: bytes = b"1") -> Record:
    return Record(topic, 0, offset, 0, None, value, [])


class FakeSource:
    """A log of records by place; a rebalance is a change of `owned`."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.log = list(records)
        self.owned = frozenset(record.place for record in records)
        self.next = dict.fromkeys(self.owned, 0)
        self.paused: frozenset[Place] = frozenset()
        self.commits: dict[Place, tuple[int, str]] = {}
        self.is_refusing = False
        self.has_left = False
        self.polls = 0

    @property
    def positions(self) -> dict[Place, int]:
        """Return how far it is committed, where something is (a proof of membership commits the start again)."""
        return {place: offset for place, (offset, _) in self.commits.items() if offset}

    def assignment(self) -> frozenset[Place]:
        return self.owned

    async def poll(self, *, max_records: int, timeout_ms: int) -> list[Record]:
        self.polls += 1
        await asyncio.sleep(0)
        ready = [
            r
            for r in self.log
            if r.place in self.owned - self.paused and r.offset >= self.next[r.place]
        ][:max_records]
        for record in ready:
            self.next[record.place] = record.offset + 1
        return ready

    def pause_only(self, places: Collection[Place]) -> None:
        self.paused = frozenset(places)

    def forget_pauses(self) -> None:
        self.paused = frozenset()

    async def commit(self, position: Mapping[Place, tuple[int, str]]) -> bool:
        if self.is_refusing or not position.keys() <= self.owned:
            return False
        self.commits |= position
        return True

    async def committed(self, places: Collection[Place]) -> dict[Place, tuple[int, str]]:
        return {place: self.commits[place] for place in places if place in self.commits}

    async def beginnings(self, places: Collection[Place]) -> dict[Place, int]:
        return dict.fromkeys(places, 0)

    async def seek(self, place: Place, offset: int) -> None:
        self.next[place] = offset

    async def leave(self) -> None:
        self.has_left = True
        self.owned = frozenset()

    def rewind(self) -> None:
        """As after an eager rebalance: read again from the committed offsets."""
        self.next = {place: self.positions.get(place, 0) for place in self.owned}


class FakeClaimsLog:
    """The topic of claims, for writing and for reading."""

    def __init__(self) -> None:
        self.notes: list[tuple[int, ClaimNote]] = []
        self.read_from: list[dict[int, int]] = []

    async def send(self, messages: Sequence[Outgoing]) -> dict[Place, int]:
        offsets: dict[Place, int] = {}
        for message in messages:
            place = (message.topic, message.partition or 0)
            offsets.setdefault(place, len(self.notes))
            self.notes.append((place[1], ClaimNote.from_json(message.value or b"")))
        await asyncio.sleep(0)
        return offsets

    @asynccontextmanager
    async def open(self, starts: Mapping[int, int]) -> AsyncIterator["FakeClaimsReader"]:
        self.read_from.append(dict(starts))
        yield FakeClaimsReader(self, starts)


class FakeClaimsReader:
    def __init__(self, log: FakeClaimsLog, starts: Mapping[int, int]) -> None:
        self.log = log
        self.next = min(starts.values(), default=0)
        self.partitions = starts.keys()

    async def catch_up(self, view: ClaimsView) -> dict[int, int]:
        await self.more(view)
        return dict.fromkeys(self.partitions, len(self.log.notes))

    async def more(self, view: ClaimsView) -> None:
        await asyncio.sleep(0)
        for position in range(self.next, len(self.log.notes)):
            view.apply(*self.log.notes[position], position)
        self.next = len(self.log.notes)


class Work:
    """A handler whose records end when the test says so."""

    def __init__(self) -> None:
        self.ends: dict[int, asyncio.Future[None]] = {}
        self.begun: list[int] = []
        self.jobs: list[Job] = []

    async def __call__(self, job: Job) -> None:
        offset = job.record.offset
        self.begun.append(offset)
        self.jobs.append(job)
        self.ends[offset] = asyncio.get_running_loop().create_future()
        await self.ends[offset]

    def end(self, *offsets: int) -> None:
        for offset in offsets:
            self.ends[offset].set_result(None)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # any condition, of any part
            await asyncio.sleep(0)


async def ticks(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def running(pool: Pool, body: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(pool.run(stop))
        await body(stop)
        stop.set()


def make_claimer(
    log: FakeClaimsLog, clock: ManualClock, *, worker: str = "w", claim: str = "life"
) -> ClaimWriter:
    return ClaimWriter(log, clock, worker=worker, claim=claim, source="test", gap_s=0)


def make_member(log: FakeClaimsLog, clock: ManualClock, *, worker: str, claim: str) -> ClaimWriter:
    """Return the claimer of a worker that the group knows as the owner."""
    claimer = make_claimer(log, clock, worker=worker, claim=claim)
    claimer.proved(clock.now_ms())
    return claimer


async def no_dead_letter(record: Record, error: Exception) -> None:
    raise AssertionError(record) from error


def make_pool(
    source: FakeSource,
    work: Callable[[Job], Awaitable[None]],
    *,
    capacity: int = 16,
    claims: FakeClaimsLog | None = None,
    clock: ManualClock | None = None,
    **changes: Any,
) -> Pool:
    log, clock = claims or FakeClaimsLog(), clock or ManualClock()
    wanted: dict[str, Any] = {
        "weigh": lambda record: int(record.value or b"1"),
        "commit_s": 0,
        "dead_letter": no_dead_letter,
    }
    return Pool(
        source,
        work,
        make_claimer(log, clock),
        log.open,
        clock,
        capacity=capacity,
        **(wanted | changes),
    )
