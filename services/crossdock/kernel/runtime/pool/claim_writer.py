"""Writes the claims of a worker: many calls share a note, and every note renews the lease.

A call may begin once its note is acknowledged. The first call of a record needs an owned partition: the group confirmed
it less than `owned_ms` ago. Further calls need a lease that never lapsed: other workers take over calls under a lapsed
lease (see `claims`). If that does not hold (the process was paused, or Kafka was away), the writer asks the group; if
the partition is not owned any more, no call begins there.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from crossdock.kernel.process import metrics
from crossdock.kernel.process.clock import Clock
from crossdock.kernel.process.errors import LeaseLostError
from crossdock.kernel.process.grouping import cut
from crossdock.kernel.process.record import Outgoing, Record
from crossdock.kernel.process.timing import DEFAULT, Timing
from crossdock.kernel.runtime.pool.claims import EarlierClaims
from crossdock.kernel.runtime.pool.offset_tracker import Mark
from crossdock_schemas.calls.claim import CallStarted, ClaimNote, LinesEnded
from crossdock_schemas.codec import encode_headers
from crossdock_schemas.topics import CLAIMS

log: structlog.stdlib.BoundLogger = structlog.get_logger()

MAX_BYTES = 524_288  # of a note
ENTRY_BYTES = 100  # of an entry at most, besides its topic and lines
LINE_BYTES = 12  # of a line's number at most
GAP_S = 0.02  # between two notes, unless one is urgent; results are flushed about as often


class ClaimLog(Protocol):
    """Takes notes; `send` returns when all are acknowledged, with the offset of the first record by place."""

    async def send(self, messages: Sequence[Outgoing]) -> dict[tuple[str, int], int]: ...


@dataclass(eq=False, slots=True)
class Job:
    """A record in work, with the claims of earlier owners."""

    record: Record
    earlier: EarlierClaims | None = None
    mark: Mark = field(default_factory=Mark)
    is_claimed: bool = False
    is_stale: bool = False
    """The partition was revoked since it began: another worker may have had it, unless the lease stayed live."""
    is_lost: bool = False
    """Another worker may have had it: no further call of it begins here."""


@dataclass(slots=True)
class _PendingNote:
    """The next note of one partition number, and its waiters."""

    started: dict[tuple[str, int, int], list[int]] = field(default_factory=dict)
    ended: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    has_new: bool = False
    call_waiter: asyncio.Future[int] | None = None
    """New calls wait for it; only they can be refused."""
    end_waiter: asyncio.Future[int] | None = None
    """Ends of lines wait for it."""

    @property
    def has_stale(self) -> bool:
        return any(job.is_stale and job.mark.claims_from is None for job in self.jobs)

    def acknowledge(self, at_ms: int) -> None:
        for waiter in (self.call_waiter, self.end_waiter):
            if waiter is not None and not waiter.done():
                waiter.set_result(at_ms)

    def refuse(self, error: LeaseLostError) -> "_PendingNote":
        """Refuse the new calls; return the rest, the ends of lines."""
        if self.call_waiter is not None and not self.call_waiter.done():
            self.call_waiter.set_exception(error)
            self.call_waiter.exception()  # retrieved here, as there may be no waiter
        return _PendingNote(ended=self.ended, end_waiter=self.end_waiter)


async def _never_ours(_: int) -> bool:
    return False


class ClaimWriter:
    """Writes for one life of a worker. `still_owns(partition)` asks the group, when a lease lapsed."""

    def __init__(
        self,
        log_: ClaimLog,
        clock: Clock,
        *,
        worker: str,
        claim: str,
        source: str,
        gap_s: float = GAP_S,
        timing: Timing = DEFAULT,
    ) -> None:
        self.timing = timing
        self._log = log_
        self._clock = clock
        self.worker = worker
        self.claim = claim
        self._source = source
        self._gap_s = gap_s
        self._books: dict[int, _PendingNote] = {}
        self._open: dict[int, set[Job]] = {}
        self._lease_until_ms: dict[int, int] = {}
        self._owned_until_ms = 0
        self._work = asyncio.Event()
        self._urgent = asyncio.Event()
        self.ends: dict[int, int] = {}
        """By partition number, the offset after the last note."""
        self.still_owns: Callable[[int], Awaitable[bool]] = _never_ours

    async def start(self, job: Job, line: int, call: int, *, is_urgent: bool) -> int:
        """Claim a call; return the time of the claim, in unix ms. The call may begin now.

        Raises:
            LeaseLostError: if another worker may have taken the record over.
        """
        book, begun = self._begin(job)
        place = (job.record.topic, job.record.offset, call)
        book.started.setdefault(place, []).append(line)
        if is_urgent:
            self._urgent.set()
        return await asyncio.shield(begun)  # many calls share it; one may be cancelled

    async def confirm(self, job: Job) -> None:
        """Return once the group confirms that the record of `job` is owned: its lines may go elsewhere.

        Raises:
            LeaseLostError: if another worker may have taken the record over.
        """
        _, begun = self._begin(job)
        self._urgent.set()
        await asyncio.shield(begun)

    def _begin(self, job: Job) -> tuple[_PendingNote, asyncio.Future[int]]:
        """Return the next note, and the future of its acknowledgement."""
        partition = job.record.partition
        if job.is_lost:
            raise LeaseLostError(partition)
        book = self._books.setdefault(partition, _PendingNote())
        if not job.is_claimed:
            job.is_claimed = book.has_new = True
            self._open.setdefault(partition, set()).add(job)
        book.jobs.append(job)
        book.call_waiter = book.call_waiter or asyncio.get_running_loop().create_future()
        self._work.set()
        return book, book.call_waiter

    async def end(self, lines: Iterable[tuple[Job, int]]) -> None:
        """Return once a note on the end of these lines is written; their outputs must be acknowledged before."""
        waiting = []
        for job, line in lines:
            record = job.record
            book = self._books.setdefault(record.partition, _PendingNote())
            book.ended.setdefault((record.topic, record.offset), []).append(line)
            book.end_waiter = book.end_waiter or asyncio.get_running_loop().create_future()
            waiting.append(book.end_waiter)
        self._work.set()
        self._urgent.set()
        for future in set(waiting):
            await asyncio.shield(future)

    def close(self, job: Job) -> None:
        """End the lease of `job`: no call of it runs here any more."""
        partition = job.record.partition
        left = self._open.get(partition, set())
        left.discard(job)
        if not left:
            self._lease_until_ms.pop(partition, None)

    def has_lost(self, job: Job, known: EarlierClaims | None) -> None:
        """Update a job that ran through a takeover by the claims that the takeover read."""
        before = 0 if job.earlier is None else job.earlier.starts_of_others(self.claim)
        now = 0 if known is None else known.starts_of_others(self.claim)
        job.is_lost = job.is_lost or now > before
        job.is_stale = False

    async def run(self) -> None:
        """Write notes until cancelled.

        Raises:
            LogError: if Kafka refuses.
        """
        wrote_at = 0.0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.timing.renew_ms / 4000):
                    await self._work.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, wrote_at + self._gap_s - time.monotonic())):
                    await self._urgent.wait()
            wrote_at = time.monotonic()
            await self.flush()

    async def flush(self) -> None:
        """Write the pending notes, and renew the leases that are due."""
        books, self._books = self._books, {}
        self._work.clear()
        self._urgent.clear()
        now_ms = self._clock.now_ms()
        for partition in self._due(now_ms):
            books.setdefault(partition, _PendingNote())
        for partition in [p for p, book in books.items() if self._is_doubtful(p, book, now_ms)]:
            await self._confirm(partition, books)
        await self._write(books)

    def _due(self, now_ms: int) -> list[int]:
        """Return the partitions whose lease must be renewed."""
        remaining = self.timing.lease_ms - self.timing.renew_ms
        return [
            partition
            for partition, jobs in self._open.items()
            if jobs and self._lease_until_ms.get(partition, now_ms) - now_ms <= remaining
        ]

    def proved(self, at_ms: int) -> None:
        """Note that the group confirmed membership at `at_ms` or later."""
        self._owned_until_ms = at_ms + self.timing.owned_ms

    def _is_doubtful(self, partition: int, book: _PendingNote, now_ms: int) -> bool:
        """Return whether another worker may own the calls of `book`."""
        if book.has_new and (now_ms > self._owned_until_ms or book.has_stale):
            return True
        return self._has_lapsed(partition, now_ms)

    def _has_lapsed(self, partition: int, now_ms: int) -> bool:
        return self._lease_until_ms.get(partition, now_ms + 1) <= now_ms

    async def _confirm(self, partition: int, books: dict[int, _PendingNote]) -> None:
        """Refuse the new calls unless this worker owns the partition and no other one owned it in between."""
        jobs = self._open.get(partition, set())
        has_lapsed = self._has_lapsed(partition, self._clock.now_ms())
        is_stale = books[partition].has_stale or (has_lapsed and any(j.is_stale for j in jobs))
        if not is_stale and await self.still_owns(partition):
            log.info("lease.confirmed", partition=partition)
            if has_lapsed:
                self._lease_until_ms[partition] = self._owned_until_ms
            return
        books[partition] = self._lose(partition, books[partition], len(jobs))
        if has_lapsed:
            for job in jobs:
                job.is_lost = True
            jobs.clear()
            del self._lease_until_ms[partition]

    async def _write(self, books: dict[int, _PendingNote]) -> None:
        if not books:
            return
        at_ms = self._clock.now_ms()
        due_ms = {p: self._due_ms(p, book, at_ms) for p, book in books.items()}
        notes = [
            note
            for partition, book in books.items()
            for note in self._notes(partition, book, at_ms)
        ]
        offsets = await self._log.send(notes)
        for partition, book in books.items():
            is_late = self._clock.now_ms() > due_ms[partition]
            is_stale = any(job.is_stale for job in book.jobs)
            self._wrote(partition, book, offsets.get((CLAIMS.name, partition), 0), at_ms)
            if is_late and (is_stale or not await self.still_owns(partition)):
                self._lose(partition, book, len(book.jobs))
            book.acknowledge(at_ms)

    @staticmethod
    def _lose(partition: int, book: _PendingNote, jobs: int) -> _PendingNote:
        metrics.LEASES_LOST.inc()
        log.error("lease.lost", partition=partition, jobs=jobs)
        return book.refuse(LeaseLostError(partition))

    def _due_ms(self, partition: int, book: _PendingNote, at_ms: int) -> int:
        """Return the time by which the note must be in the log: a new owner may not have read a later one."""
        until_ms = self._lease_until_ms.get(partition, at_ms + self.timing.lease_ms)
        return min(until_ms, self._owned_until_ms) if book.has_new else until_ms

    def _wrote(self, partition: int, book: _PendingNote, offset: int, at_ms: int) -> None:
        self.ends[partition] = offset + 1
        if self._open.get(partition):
            self._lease_until_ms[partition] = at_ms + self.timing.lease_ms
        for job in book.jobs:
            if job.mark.claims_from is None:
                job.mark.claims_from = offset

    def _notes(self, partition: int, book: _PendingNote, at_ms: int) -> list[Outgoing]:
        """Return the note of `book`, in as many records as it needs; an empty one renews the lease."""
        entries: list[CallStarted | LinesEnded] = [
            CallStarted(topic=topic, offset=offset, call=call, lines=tuple(lines))
            for (topic, offset, call), lines in book.started.items()
        ]
        entries += [
            LinesEnded(topic=topic, offset=offset, lines=tuple(lines))
            for (topic, offset), lines in book.ended.items()
        ]
        groups = cut(entries, _most_bytes, max_bytes=MAX_BYTES)
        return [self._record(partition, group, at_ms) for group in list(groups) or [[]]]

    def _record(
        self, partition: int, entries: Sequence[CallStarted | LinesEnded], at_ms: int
    ) -> Outgoing:
        note = ClaimNote(
            claim=self.claim,
            worker=self.worker,
            at_ms=at_ms,
            lease_until_ms=at_ms + (self.timing.lease_ms if self._open.get(partition) else 0),
            started=tuple(entry for entry in entries if isinstance(entry, CallStarted)),
            ended=tuple(entry for entry in entries if isinstance(entry, LinesEnded)),
        )
        headers = encode_headers(CLAIMS, self._source, self.claim, at_ms, None)
        return Outgoing(CLAIMS.name, self.claim.encode(), note.to_json(), headers, partition)


def _most_bytes(entry: CallStarted | LinesEnded) -> int:
    """Return how many bytes `entry` takes at most, without encoding it twice."""
    return ENTRY_BYTES + len(entry.topic) + LINE_BYTES * len(entry.lines)
