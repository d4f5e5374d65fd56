"""The shape "pool": slow side effects, out of order, claimed before they begin.

The poll loop never waits for work. A bounded amount is in flight; further records stay in Kafka, with their partition
paused. Offsets are committed up to the first unfinished record of a partition. The claims cover the records beyond it:
a new owner reads them first, skips records that ended, leaves running calls under a live lease to their worker, and
handles the rest with the claims on it. So a rebalance repeats no call, and a crash repeats only calls in flight.

A record ends in one of three ways: done (its handler returned); a dead letter (the record is at fault: it is passed to
`dead_letter`, then done); lost (LeaseLostError: another worker has it now). An error of Kafka or of the system ends the
process, and the record is delivered again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol

import structlog

from crossdock.kernel.process import metrics
from crossdock.kernel.process.clock import Clock
from crossdock.kernel.process.errors import LeaseLostError, is_poison
from crossdock.kernel.process.record import Record
from crossdock.kernel.runtime.pool.claim_writer import ClaimWriter, Job
from crossdock.kernel.runtime.pool.claims import EarlierClaims
from crossdock.kernel.runtime.pool.positions import PoolPositions
from crossdock.kernel.runtime.pool.scheduler import Item, Place, Scheduler, WorkShare
from crossdock.kernel.runtime.pool.takeover import Committed, OpenClaims, TakenOver, Takeover

log: structlog.stdlib.BoundLogger = structlog.get_logger()

COMMIT_S = 0.2
POLL_MS = 200
FULL_POLL_MS = 20  # while a partition is paused: check soon whether it may be polled again
MAX_RECORDS = 50
MAX_AHEAD = 20_000  # records of a partition past its first unfinished one: a new owner must read their claims
BYTES_PER_UNIT = 65_536
LEAVE_S = 2.0  # an orderly stop that takes longer leaves the group first, so that other workers take the partitions


class PoolSource(Committed, Protocol):
    """The part of `GroupConsumer` that a pool uses."""

    def assignment(self) -> frozenset[Place]: ...
    async def poll(self, *, max_records: int, timeout_ms: int) -> list[Record]: ...
    def pause_only(self, places: Collection[Place]) -> None: ...
    def forget_pauses(self) -> None: ...
    async def commit(self, position: Mapping[Place, tuple[int, str]]) -> bool: ...
    async def seek(self, place: Place, offset: int) -> None: ...
    async def leave(self) -> None: ...


Handle = Callable[[Job], Awaitable[None]]
"""Returns when the outputs of the record are acknowledged and its claims are ended."""
KeepDeadLetter = Callable[[Record, Exception], Awaitable[None]]
"""Keeps a record that cannot be read or handled; the record is done when it returns."""


class Pool:
    """Runs `handle` for each record, at most `capacity` units of `weigh(record)` at once.

    `draining` is set while the pool stops: a handler that only waits should give its work back then.
    """

    def __init__(
        self,
        source: PoolSource,
        handle: Handle,
        claimer: ClaimWriter,
        open_claims: OpenClaims,
        clock: Clock,
        *,
        capacity: int,
        weigh: Callable[[Record], int],
        share_of: Callable[[str], WorkShare] | None = None,
        dead_letter: KeepDeadLetter,
        draining: asyncio.Event | None = None,
        commit_s: float = COMMIT_S,
    ) -> None:
        self._source = source
        self._handle = handle
        self._claimer = claimer
        claimer.still_owns = self._still_owns
        self._takeover = Takeover(
            source, open_claims, clock, claimer.worker, self._unpark, claimer.timing.grace_ms
        )
        self._clock = clock
        self._dead_letter = dead_letter
        whole = WorkShare("all", capacity)
        self._scheduler = Scheduler(capacity, weigh=weigh, share_of=share_of or (lambda _: whole))
        self._jobs: dict[tuple[Place, int], Job] = {}
        self._parked: dict[tuple[Place, int], tuple[Record, EarlierClaims]] = {}
        self._earlier: dict[tuple[Place, int], EarlierClaims] = {}
        self._positions = PoolPositions()
        self._owned: frozenset[Place] = frozenset()
        self._finished_unseen: dict[tuple[Place, int], Job] = {}
        self._proved_ms = 0
        self._taking: asyncio.Task[None] | None = None
        self._taken: asyncio.Future[TakenOver] | None = None
        self._is_between = False
        self._has_left = False
        self._group = asyncio.TaskGroup()
        self._finished = asyncio.Event()
        self._draining = draining or asyncio.Event()
        self._commit_s = commit_s

    @property
    def in_flight(self) -> int:
        """Running units of work."""
        return self._scheduler.running

    @property
    def waiting(self) -> int:
        """Polled units of work that have not begun."""
        return self._scheduler.waiting + len(self._parked)

    @property
    def taking_over(self) -> str | None:
        """Why the pool does not begin the records of its partitions yet; None: it does."""
        untaken = self._untaken()
        return f"taking over {len(untaken)} partitions" if untaken else None

    def _untaken(self) -> frozenset[Place]:
        return self._source.assignment() - self._positions.offsets.keys()

    # ownership

    async def hand_over(self, _: Collection[Place]) -> None:
        """Before a rebalance: commit finished work and drop waiting work; running work continues under its claims.

        (Assignment is eager: every partition is revoked, and one that comes back starts at its committed offset.)
        """
        self._is_between = True
        await self._commit()
        self._forget()

    async def assigned(self, _: Collection[Place]) -> None:
        """After a rebalance."""
        self._source.forget_pauses()
        self._is_between = False

    def _forget(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
        self._taking = self._taken = None
        self._owned = frozenset()
        for job in self._jobs.values():
            job.is_stale = True
        self._scheduler.forget()
        self._parked.clear()
        self._earlier.clear()
        self._positions.forget()
        self._source.forget_pauses()

    async def _follow(self) -> None:
        """Take over assigned partitions; their records begin once the claims are read."""
        if self._is_between:
            return
        assignment = self._source.assignment()
        if assignment != self._owned:
            self._forget()
            self._owned = assignment
            if assignment:
                self._taken = asyncio.get_running_loop().create_future()
                self._taking = self._group.create_task(self._takeover.run(assignment, self._taken))
        if self._taken is not None and self._taken.done():
            await self._install(self._taken.result())
            self._taken = None

    async def _install(self, taken: TakenOver) -> None:
        self._positions.install(taken)
        for place, at in taken.positions.items():
            await self._source.seek(place, at)
        kept = self._finished_unseen
        self._finished_unseen = {k: job for k, job in kept.items() if k[0] in taken.positions}
        await self._prove()
        log.info("pool.took_over", partitions=len(taken.positions), running=len(self._jobs))

    async def _still_owns(self, partition: int) -> bool:
        """Ask the group by a commit, which it accepts from the owner only."""
        return not self._has_left and await self._prove(partition)

    async def _prove(self, partition: int | None = None) -> bool:
        """Commit the safe positions, moved or not: the group confirms membership and stores the start of the claims."""
        at_ms = self._clock.now_ms()
        self._proved_ms = at_ms
        again = self._positions.again(self._claimer.ends, partition)
        if not again or not await self._source.commit(again):
            return False
        self._claimer.proved(at_ms)
        return True

    # from poll to end

    async def run(self, stop: asyncio.Event) -> None:
        """Poll and work until `stop`; then finish and commit the running work."""
        async with self._group:
            committed = time.monotonic()
            while not stop.is_set():
                await self._follow()
                await self._poll()
                self._begin()
                if time.monotonic() - committed > self._commit_s:
                    committed = time.monotonic()
                    await self._commit()
                if self._clock.now_ms() - self._proved_ms > self._claimer.timing.prove_ms:
                    await self._prove()
            self._draining.set()
            self._scheduler.forget()
            await self._end()
            if self._taking is not None:
                self._taking.cancel()

    async def _end(self) -> None:
        if not await self._drained(LEAVE_S):
            await self._commit()
            self._has_left = True
            await self._source.leave()
            log.info("pool.left", running=self._scheduler.running)
            await self._drained(None)
        elif not await self._commit():
            log.warning("pool.commit_refused", remedy="the claims record the finished work")

    async def _poll(self) -> None:
        full = self._full()
        self._source.pause_only(full)
        records = await self._source.poll(
            max_records=MAX_RECORDS, timeout_ms=FULL_POLL_MS if full else POLL_MS
        )
        for record in records:
            self._take(record)

    def _full(self) -> frozenset[Place]:
        """Return the partitions that must not be polled: full, too far ahead, or not taken over yet."""
        far = {
            place for place, offsets in self._positions.offsets.items() if len(offsets) >= MAX_AHEAD
        }
        return self._scheduler.full() | far | self._untaken()

    def _take(self, record: Record) -> None:
        offsets = self._positions.offsets.get(record.place)
        if offsets is None or record.offset < offsets.next:
            return  # not taken over: it is polled again after the seek
        key = (record.place, record.offset)
        earlier = self._positions.view.find(*record.place, record.offset)
        job = self._jobs.get(key)
        if job is not None:  # it ran through a rebalance
            job.mark = offsets.taken(record.offset, job.mark.claims_from)
            self._claimer.has_lost(job, earlier)
            return
        ended = self._finished_unseen.pop(key, None)
        if ended is not None:
            self._claimer.has_lost(ended, earlier)
            if ended.is_lost:
                self._lost(record)
                return
            offsets.taken(record.offset)
            offsets.done(record.offset)
            return
        offsets.taken(record.offset, None if earlier is None else earlier.claims_from)
        if earlier is None:
            self._scheduler.take(record)
        elif self._positions.view.is_live(earlier, self._clock.now_ms()):
            self._parked[key] = (record, earlier)
        else:
            self._earlier[key] = earlier
            self._scheduler.take(record)

    def _unpark(self) -> None:
        """Begin the parked records that no other worker holds any more."""
        now_ms = self._clock.now_ms()
        for key, (record, earlier) in list(self._parked.items()):
            if not self._positions.view.is_live(earlier, now_ms):
                del self._parked[key]
                self._earlier[key] = earlier
                self._scheduler.take(record)
        metrics.JOBS_PARKED.set(len(self._parked))

    def _begin(self) -> None:
        if self._draining.is_set() or self._is_between:
            return
        for item in self._scheduler.begin():
            key = (item.record.place, item.record.offset)
            mark = self._positions.offsets[item.record.place].mark(item.record.offset)
            job = self._jobs[key] = Job(item.record, self._earlier.pop(key, None), mark)
            self._group.create_task(self._work(item, job))
        metrics.IN_FLIGHT.set(self._scheduler.running)

    async def _work(self, item: Item, job: Job) -> None:
        record = item.record
        try:
            await self._handle(job)
        except LeaseLostError:
            self._lost(record)
        except Exception as error:  # a guard: no record ends the stage
            if not is_poison(error):
                raise
            await self._dead_letter(record, error)
            self._done(job)
        else:
            if job.is_lost:
                self._lost(record)
            else:
                self._done(job)
        finally:
            self._claimer.close(job)
            del self._jobs[record.place, record.offset]
            self._scheduler.release(item)
            self._finished.set()
        self._begin()

    def _lost(self, record: Record) -> None:
        """Another worker began the record too: take all partitions over again, with the claims of that worker."""
        log.warning("record.lost", topic=record.topic, offset=record.offset)
        self._owned = frozenset()

    def _done(self, job: Job) -> None:
        record = job.record
        offsets = self._positions.offsets.get(record.place)
        if offsets is not None and offsets.has(record.offset):
            offsets.done(record.offset)
        else:  # during a rebalance; it may be polled again before the claims that were read report its end
            self._finished_unseen[record.place, record.offset] = job

    async def _drained(self, limit_s: float | None) -> bool:
        """Wait until no work runs; return False after `limit_s`."""
        try:
            async with asyncio.timeout(limit_s):
                while self._scheduler.running:
                    self._finished.clear()
                    await self._finished.wait()
        except TimeoutError:
            return False
        return True

    async def _commit(self) -> bool:
        """Commit the safe positions; return whether all are committed."""
        position = self._positions.moved(self._claimer.ends)
        if position:
            if not await self._source.commit(position):
                return False
            self._positions.committed(position)
        return True


def lines_weight(record: Record) -> int:
    """Return a rough weight without decoding: the number of lines in the value, or its size if that is more."""
    value = record.value or b""
    return max(1 + value.count(b"\n"), len(value) // BYTES_PER_UNIT)
