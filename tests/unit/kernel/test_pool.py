import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.kernel.errors import UndecodableError
from crossdock.kernel.lookahead import Place, Share
from crossdock.kernel.pool import Pool, lines_weight
from crossdock.kernel.record import Record

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
        self.committed: dict[Place, int] = {}
        self.is_refusing = False
        self.polls = 0

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

    async def commit(self, position: dict[Place, int]) -> bool:
        if self.is_refusing or not position.keys() <= self.owned:
            return False
        self.committed |= position
        return True

    def rewind(self) -> None:
        """As after an eager rebalance: read again from the committed offsets."""
        self.next = {place: self.committed.get(place, 0) for place in self.owned}


class Work:
    """A handler whose records end when the test says so."""

    def __init__(self) -> None:
        self.ends: dict[int, asyncio.Future[None]] = {}
        self.begun: list[int] = []

    async def __call__(self, record: Record) -> None:
        self.begun.append(record.offset)
        self.ends[record.offset] = asyncio.get_running_loop().create_future()
        await self.ends[record.offset]

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


def make_pool(
    source: FakeSource, work: Callable[[Record], Awaitable[None]], *, capacity: int = 16
) -> Pool:
    return Pool(
        source,
        work,
        capacity=capacity,
        weigh=lambda record: int(record.value or b"1"),
        commit_s=0,
    )


async def test_an_offset_is_not_committed_while_an_older_record_is_running() -> None:
    source, work = FakeSource([make_record(n) for n in range(3)]), Work()
    pool = make_pool(source, work)

    async def body(_: asyncio.Event) -> None:
        await until(lambda: len(work.begun) == 3)
        work.end(1, 2)
        await ticks()
        assert source.committed == {}
        work.end(0)
        await until(lambda: source.committed == {PLACE: 3})

    await running(pool, body)


async def test_a_stop_finishes_what_runs_and_commits_it() -> None:
    source, work = FakeSource([make_record(n) for n in range(2)]), Work()
    pool = make_pool(source, work)

    async def body(stop: asyncio.Event) -> None:
        await until(lambda: len(work.begun) == 2)
        stop.set()
        await ticks()
        assert source.committed == {}
        work.end(0, 1)

    await running(pool, body)

    assert source.committed == {PLACE: 2}


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
    assert source.committed == {PLACE: 40}


async def test_a_backlog_of_one_topic_does_not_keep_another_from_being_polled() -> None:
    slow = [make_record(n, topic="slow") for n in range(100)]
    source, work = FakeSource([*slow, make_record(1000, topic="quick")]), Work()
    pool = Pool(
        source,
        work,
        capacity=16,
        weigh=lambda _: 1,
        share_of=lambda topic: Share(topic, 8, is_urgent=topic == "quick"),
    )

    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(pool.run(stop))
        await until(lambda: 1000 in work.begun)
        assert ("quick", 0) not in source.paused
        stop.set()
        await ticks()
        work.end(*work.begun)


async def test_a_hand_over_begins_nothing_new_and_forgets_what_waits() -> None:
    source, work = FakeSource([make_record(n, value=b"4") for n in range(8)]), Work()
    draining = asyncio.Event()
    pool = Pool(source, work, capacity=4, weigh=lambda _: 4, draining=draining)

    async def body(_: asyncio.Event) -> None:
        await until(lambda: bool(work.begun))
        handing_over = asyncio.get_running_loop().create_task(pool.hand_over([PLACE]))
        await until(draining.is_set)
        source.owned = frozenset()
        work.end(*work.begun)
        await handing_over
        await ticks()
        assert (pool.waiting, pool.in_flight, draining.is_set()) == (0, 0, False)

    await running(pool, body)

    assert work.begun == [0]


async def test_nothing_is_committed_for_a_partition_that_is_gone() -> None:
    source, work = FakeSource([make_record(0)]), Work()
    pool = make_pool(source, work)

    async def body(_: asyncio.Event) -> None:
        await until(lambda: bool(work.begun))
        source.owned = frozenset()
        work.end(0)
        await ticks()

    await running(pool, body)

    assert source.committed == {}


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

    async def refuse(record: Record) -> None:
        if record.offset == 0:
            raise UndecodableError(record.topic, record.partition, record.offset, "not ours")

    async def tell(record: Record, _: UndecodableError) -> None:
        told.append(record.offset)

    pool = Pool(source, refuse, capacity=4, weigh=lambda _: 1, dead_letter=tell)

    async def body(_: asyncio.Event) -> None:
        await until(lambda: bool(told))

    await running(pool, body)

    assert told == [0]
    assert source.committed == {PLACE: 2}


async def test_a_failing_handler_ends_the_pool_and_its_record_stays_uncommitted() -> None:
    source = FakeSource([make_record(n) for n in range(2)])

    async def fail(record: Record) -> None:
        if record.offset == 0:
            raise RuntimeError("broken")

    pool = make_pool(source, fail)

    with pytest.raises(ExceptionGroup), suppress(asyncio.CancelledError):
        await pool.run(asyncio.Event())

    assert source.committed == {}


async def test_a_refused_last_commit_is_no_error() -> None:
    source, work = FakeSource([make_record(0)]), Work()
    source.is_refusing = True
    pool = make_pool(source, work)

    async def body(_: asyncio.Event) -> None:
        await until(lambda: bool(work.begun))
        work.end(0)

    await running(pool, body)

    assert source.committed == {}


def test_a_record_weighs_its_lines_or_its_bytes_where_they_are_more() -> None:
    assert lines_weight(make_record(0, value=b"{}\n{}\n{}")) == 3
    assert lines_weight(make_record(0, value=b"x" * 262_144)) == 4
    assert lines_weight(Record("t", 0, 0, 0, None, None, [])) == 1


class Story:
    """A pool, and whoever draws what happens to it next."""

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

    async def rebalance(self, group: asyncio.TaskGroup) -> None:
        handing_over = group.create_task(self.pool.hand_over([PLACE]))
        await self.rest(handing_over.done)
        self.source.rewind()

    def check(self) -> None:
        assert set(range(self.source.committed.get(PLACE, 0))) <= self.finished


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
                await story.rebalance(group)
            story.end_one()
            story.check()
        stop.set()
        await story.rest(lambda: not story.pool.in_flight)

    story.check()
    assert story.finished == set(range(story.count))
