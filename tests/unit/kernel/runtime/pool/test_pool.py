"""The pool."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.kernel.process.clock import ManualClock
from crossdock.kernel.process.errors import LeaseLostError, LogError, UndecodableError
from crossdock.kernel.process.record import Record
from crossdock.kernel.process.timing import DEFAULT
from crossdock.kernel.runtime.pool import pool as pool_module
from crossdock.kernel.runtime.pool.claim_writer import Job
from crossdock.kernel.runtime.pool.pool import lines_weight
from crossdock.kernel.runtime.pool.scheduler import WorkShare
from unit.kernel.pool_fakes import (
    PLACE,
    FakeClaimsLog,
    FakeSource,
    Work,
    make_member,
    make_pool,
    make_record,
    running,
    ticks,
    until,
)


async def test_an_offset_is_not_committed_while_an_older_record_is_running() -> None:
    source, work = FakeSource([make_record(n) for n in range(3)]), Work()
    pool = make_pool(source, work)

    async def body(_: asyncio.Event) -> None:
        await until(lambda: len(work.begun) == 3)
        work.end(1, 2)
        await ticks()
        assert source.positions == {}
        work.end(0)
        await until(lambda: source.positions == {PLACE: 3})

    await running(pool, body)


async def test_a_stop_finishes_what_runs_and_commits_it() -> None:
    source, work = FakeSource([make_record(n) for n in range(2)]), Work()
    pool = make_pool(source, work)

    async def body(stop: asyncio.Event) -> None:
        await until(lambda: len(work.begun) == 2)
        stop.set()
        await ticks()
        assert source.positions == {}
        work.end(0, 1)

    await running(pool, body)

    assert source.positions == {PLACE: 2}


async def test_a_full_pool_pauses_the_partition_and_goes_on_when_work_ends() -> None:
    source, work = FakeSource([make_record(n, value=b"4") for n in range(40)]), Work()
    pool = make_pool(source, work, capacity=8)

    async def body(_: asyncio.Event) -> None:
        await until(lambda: source.paused == {PLACE})
        assert pool.in_flight <= 8
        while len(work.begun) < 40 or pool.in_flight:
            for offset, end in list(work.ends.items()):
                if not end.done():
                    work.end(offset)
            await asyncio.sleep(0)

    await running(pool, body)

    assert work.begun == list(range(40))
    assert source.positions == {PLACE: 40}


async def test_a_backlog_of_one_topic_does_not_keep_another_from_being_polled() -> None:
    slow = [make_record(n, topic="slow") for n in range(100)]
    source, work = FakeSource([*slow, make_record(1000, topic="quick")]), Work()
    pool = make_pool(
        source,
        work,
        weigh=lambda _: 1,
        share_of=lambda topic: WorkShare(topic, 8, is_urgent=topic == "quick"),
    )

    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(pool.run(stop))
        await until(lambda: 1000 in work.begun)
        assert ("quick", 0) not in source.paused
        stop.set()
        await ticks()
        work.end(*work.begun)


async def test_a_hand_over_forgets_what_waits_and_lets_run_what_runs() -> None:
    source, work = FakeSource([make_record(n, value=b"4") for n in range(8)]), Work()
    pool = make_pool(source, work, capacity=4, weigh=lambda _: 4)

    async def body(_: asyncio.Event) -> None:
        await until(lambda: bool(work.begun))
        await pool.hand_over([PLACE])
        source.owned = frozenset()
        await pool.assigned([])
        await ticks()
        assert (pool.waiting, pool.in_flight) == (0, 4)
        work.end(*work.begun)
        await until(lambda: not pool.in_flight)

    await running(pool, body)

    assert work.begun == [0]
    assert source.positions == {}


async def test_what_ran_through_a_rebalance_is_not_begun_again_and_is_committed_in_the_end() -> (
    None
):
    source, work = FakeSource([make_record(n) for n in range(3)]), Work()
    pool = make_pool(source, work)

    async def body(_: asyncio.Event) -> None:
        await until(lambda: len(work.begun) == 3)
        work.end(1)
        await ticks()
        await pool.hand_over([PLACE])
        source.rewind()
        await pool.assigned([PLACE])
        await ticks()
        work.end(0, 2)
        await until(lambda: len(work.begun) == 4)  # the fake handler ends no claims
        work.end(1)
        await until(lambda: source.positions == {PLACE: 3})

    work.ends.clear()
    await running(pool, body)

    assert work.begun == [0, 1, 2, 1]


async def test_a_new_owner_is_told_what_an_earlier_one_began_and_ended() -> None:
    """And reads the claims from the committed offset on."""
    source, work, claims = FakeSource([make_record(n) for n in range(3)]), Work(), FakeClaimsLog()
    old = make_member(claims, ManualClock(), worker="w", claim="earlier life")
    jobs = [Job(make_record(n)) for n in range(3)]
    writing = asyncio.get_running_loop().create_task(old.run())
    for job in jobs:
        await old.start(job, 0, 1, is_urgent=True)
    await old.end([(jobs[1], 0)])
    writing.cancel()
    source.commits = {PLACE: (1, "1")}
    pool = make_pool(source, work, claims=claims)

    async def body(_: asyncio.Event) -> None:
        await until(lambda: len(work.begun) == 2)
        work.end(1, 2)

    await running(pool, body)

    assert claims.read_from == [{0: 1}]
    assert work.begun == [1, 2]
    first, second = (job.earlier for job in work.jobs)
    assert first is not None
    assert second is not None
    assert set(first.ended) == {0}
    assert [start.claim for start in second.lapsed(0)] == ["earlier life"]


async def test_what_another_worker_holds_is_parked_until_it_ends_or_its_lease_lapses() -> None:
    source, work, claims = FakeSource([make_record(n) for n in range(3)]), Work(), FakeClaimsLog()
    clock = ManualClock()
    other = make_member(claims, clock, worker="other", claim="theirs")
    jobs = [Job(make_record(n)) for n in range(2)]
    writing = asyncio.get_running_loop().create_task(other.run())
    for job in jobs:
        await other.start(job, 0, 1, is_urgent=True)
    pool = make_pool(source, work, claims=claims, clock=clock)

    async def body(_: asyncio.Event) -> None:
        await until(lambda: work.begun == [2])
        assert pool.waiting == 2
        await other.end([(jobs[1], 0)])
        await until(lambda: work.begun == [2, 1])
        await ticks()
        assert work.begun == [2, 1]
        clock.advance(DEFAULT.lease_ms + DEFAULT.grace_ms + 1)
        await until(lambda: work.begun == [2, 1, 0])
        work.end(0, 1, 2)

    await running(pool, body)
    writing.cancel()

    assert source.positions == {PLACE: 3}


async def test_a_lost_record_is_not_done_and_is_taken_over_anew_if_it_is_ours_all_the_same() -> (
    None
):
    source, begun = FakeSource([make_record(0)]), list[int]()

    async def lose(job: Job) -> None:
        begun.append(job.record.offset)
        if len(begun) == 1:
            raise LeaseLostError(0)

    pool = make_pool(source, lose)

    async def body(_: asyncio.Event) -> None:
        await until(lambda: len(begun) == 2)
        await until(lambda: source.positions == {PLACE: 1})

    await running(pool, body)


async def test_a_stop_that_takes_long_leaves_the_group_and_finishes_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_module, "LEAVE_S", 0.01)
    source, work = FakeSource([make_record(0)]), Work()
    pool = make_pool(source, work)

    async def body(stop: asyncio.Event) -> None:
        await until(lambda: bool(work.begun))
        stop.set()
        async with asyncio.timeout(120):
            while not source.has_left:  # noqa: ASYNC110  # the fake has no event
                await asyncio.sleep(0.001)
        work.end(0)

    await running(pool, body)

    assert pool.in_flight == 0


async def test_nothing_is_committed_for_a_partition_that_is_gone() -> None:
    source, work = FakeSource([make_record(0)]), Work()
    pool = make_pool(source, work)

    async def body(_: asyncio.Event) -> None:
        await until(lambda: bool(work.begun))
        source.owned = frozenset()
        work.end(0)
        await ticks()

    await running(pool, body)

    assert source.positions == {}


async def test_a_record_polled_before_a_rebalance_and_returned_after_it_is_dropped() -> None:
    source, work = FakeSource([make_record(0)]), Work()
    source.next = {PLACE: 0}
    pool = make_pool(source, work)
    real = source.poll

    async def late(*, max_records: int, timeout_ms: int) -> list[Record]:
        records = await real(max_records=max_records, timeout_ms=timeout_ms)
        source.owned = frozenset()
        return records

    source.poll = late  # type: ignore[method-assign]  # the fake is ours

    async def body(_: asyncio.Event) -> None:
        await until(lambda: source.polls > 3)

    await running(pool, body)

    assert work.begun == []


async def test_what_cannot_be_read_is_told_and_then_done() -> None:
    source = FakeSource([make_record(0), make_record(1)])
    told: list[int] = []

    async def refuse(job: Job) -> None:
        if job.record.offset == 0:
            raise UndecodableError("t", 0, 0, "not ours")

    async def tell(record: Record, _: UndecodableError) -> None:
        told.append(record.offset)

    pool = make_pool(source, refuse, dead_letter=tell)

    async def body(_: asyncio.Event) -> None:
        await until(lambda: bool(told))

    await running(pool, body)

    assert told == [0]
    assert source.positions == {PLACE: 2}


async def test_a_failing_handler_ends_the_pool_and_its_record_stays_uncommitted() -> None:
    source = FakeSource([make_record(n) for n in range(2)])

    async def fail(job: Job) -> None:
        if job.record.offset == 0:
            raise LogError("Kafka is away")

    pool = make_pool(source, fail)

    with pytest.raises(ExceptionGroup), suppress(asyncio.CancelledError):
        await pool.run(asyncio.Event())

    assert source.positions == {}


async def test_a_record_that_a_handler_cannot_handle_is_kept_and_the_next_ones_are_worked_on() -> (
    None
):
    source = FakeSource([make_record(n) for n in range(3)])
    kept: list[tuple[int, str]] = []

    async def fail(job: Job) -> None:
        if job.record.offset == 1:
            raise ExceptionGroup("lines", [KeyError("a bug of ours")])

    async def keep(record: Record, error: Exception) -> None:
        kept.append((record.offset, repr(error)))

    pool = make_pool(source, fail, dead_letter=keep)

    await running(pool, lambda _: until(lambda: bool(kept) and pool.in_flight == 0))

    assert [offset for offset, _ in kept] == [1]
    assert set(source.positions.values()) == {3}


async def test_a_refused_last_commit_is_no_error() -> None:
    source, work = FakeSource([make_record(0)]), Work()
    source.is_refusing = True
    pool = make_pool(source, work)

    async def body(_: asyncio.Event) -> None:
        await until(lambda: bool(work.begun))
        work.end(0)

    await running(pool, body)

    assert source.positions == {}


def test_a_record_weighs_its_lines_or_its_bytes_where_they_are_more() -> None:
    assert lines_weight(make_record(0, value=b"{}\n{}\n{}")) == 3
    assert lines_weight(make_record(0, value=b"x" * 262_144)) == 4
    assert lines_weight(Record("t", 0, 0, 0, None, None, [])) == 1


class Story:
    """A pool, and the events that Hypothesis draws for it."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.count = data.draw(st.integers(1, 15))
        self.source = FakeSource([make_record(n) for n in range(self.count)])
        self.work = Work()
        self.pool = make_pool(self.source, self.work, capacity=data.draw(st.integers(1, 20)))
        self.finished: set[int] = set()

    def end_one(self) -> None:
        running = [offset for offset, end in self.work.ends.items() if not end.done()]
        if running:
            offset = self.data.draw(st.sampled_from(running))
            self.finished.add(offset)
            self.work.end(offset)

    async def rest(self, until: Callable[[], bool]) -> None:
        while not until():
            self.end_one()
            await asyncio.sleep(0)
            self.check()

    async def rebalance(self) -> None:
        await self.pool.hand_over([PLACE])
        self.end_one()
        self.source.rewind()
        await self.pool.assigned([PLACE])

    def check(self) -> None:
        assert set(range(self.source.positions.get(PLACE, 0))) <= self.finished


@given(data=st.data())
async def test_a_commit_never_passes_an_unfinished_record(data: st.DataObject) -> None:
    """Whatever the order in which records end, and wherever rebalances come in between."""
    story = Story(data)
    stop = asyncio.Event()

    async with asyncio.TaskGroup() as group:
        group.create_task(story.pool.run(stop))
        while len(story.finished) < story.count:
            await ticks(5)
            if data.draw(st.integers(0, 9)) == 0:
                await story.rebalance()
            story.end_one()
            story.check()
        stop.set()
        await story.rest(lambda: not story.pool.in_flight)

    story.check()
    assert story.finished == set(range(story.count))
