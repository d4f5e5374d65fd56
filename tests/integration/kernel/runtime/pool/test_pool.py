"""The shape "pool" on a real broker: out of order, committed in order, claimed before it begins."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import pytest

from crossdock.kernel.drivers.kafka import (
    GroupConsumer,
    open_group_consumer,
    open_producer,
    provision,
)
from crossdock.kernel.process.clock import SystemClock
from crossdock.kernel.process.record import Record
from crossdock.kernel.runtime.pool.claim_reader import open_claims
from crossdock.kernel.runtime.pool.claim_writer import ClaimWriter, Job
from crossdock.kernel.runtime.pool.pool import Pool
from crossdock_schemas.topics import CLAIMS, Provisioned
from support.engines import RunningKafka
from support.topics import eventually, fresh, in_background, make_topic, put

SLOW_S = 5.0  # longer than a rebalance
Work = Callable[[Record], Awaitable[None]]


async def ignored(record: Record, error: Exception) -> None:
    """Nothing here is unreadable."""
    raise AssertionError(record) from error


@asynccontextmanager
async def open_pool(
    kafka: RunningKafka, topic: str, work: Work, *, group: str, instance: str = "0"
) -> AsyncIterator[Pool]:
    """Run a pool of 8 until the block ends, in order."""
    servers = kafka.bootstrap_servers
    await provision(servers, [Provisioned(CLAIMS.name, 2, {})])
    pools: list[Pool] = []

    async def hand_over(places: object) -> None:
        for pool in pools:
            await pool.hand_over([])

    async def assigned(places: object) -> None:
        for pool in pools:
            await pool.assigned([])

    async with AsyncExitStack() as stack:
        producer = await stack.enter_async_context(open_producer(servers, client="test"))
        consumer = await stack.enter_async_context(
            open_group_consumer(
                servers,
                [topic],
                group=group,
                instance=instance,
                on_revoked=hand_over,
                on_assigned=assigned,
            )
        )
        claimer = ClaimWriter(
            producer, SystemClock(), worker=f"{group}.{instance}", claim=fresh("c"), source="test"
        )
        pool = Pool(
            consumer,
            partial(claimed, claimer, work),
            claimer,
            partial(open_claims, servers, client="test"),
            SystemClock(),
            capacity=8,
            weigh=lambda _: 1,
            dead_letter=ignored,
            commit_s=0.05,
        )
        pools.append(pool)
        async with asyncio.TaskGroup() as writers:
            writing = writers.create_task(claimer.run())
            try:
                async with in_background(pool.run):
                    yield pool
            finally:
                writing.cancel()


async def claimed(claimer: ClaimWriter, work: Work, job: Job) -> None:
    """Work on a record of one line, under a claim, unless claims show that it ended."""
    if job.earlier is not None and 0 in job.earlier.ended:
        return
    await claimer.start(job, 0, 1, is_urgent=False)
    await work(job.record)
    await claimer.end([(job, 0)])


async def committed(kafka: RunningKafka, topic: str, group: str) -> int:
    """Return the group's offset of partition 0."""
    async with open_group_consumer(
        kafka.bootstrap_servers, [topic], group=group, instance="0"
    ) as consumer:
        await eventually(lambda: bool(consumer.assignment()), "an assignment")
        return await consumer.position((topic, 0))


async def test_nothing_past_an_unfinished_record_is_committed(kafka: RunningKafka) -> None:
    topic = await make_topic(kafka.bootstrap_servers, "topic")
    group, gate, done = fresh("g"), asyncio.Event(), list[bytes]()
    await put(kafka.bootstrap_servers, topic, *[b"%d" % n for n in range(6)])

    async def handle(record: Record) -> None:
        if record.value == b"2":
            await gate.wait()
        done.append(record.value or b"")

    async def work_until_killed() -> None:
        async with open_pool(kafka, topic, handle, group=group):
            await eventually(lambda: len(done) == 5, "all but one")
            await asyncio.sleep(0.2)
            raise ConnectionAbortedError("as if killed")

    with pytest.raises(ExceptionGroup):
        await work_until_killed()

    assert b"2" not in done
    assert await committed(kafka, topic, group) == 2


async def test_an_orderly_stop_finishes_and_commits_what_runs(kafka: RunningKafka) -> None:
    topic = await make_topic(kafka.bootstrap_servers, "topic")
    group, done = fresh("g"), list[bytes]()
    await put(kafka.bootstrap_servers, topic, *[b"%d" % n for n in range(7)])

    async def handle(record: Record) -> None:
        await asyncio.sleep(0.3)
        done.append(record.value or b"")

    async with open_pool(kafka, topic, handle, group=group) as pool:
        await eventually(lambda: pool.in_flight == 7, "a lane full")

    assert len(done) == 7
    assert await committed(kafka, topic, group) == 7


async def test_no_more_than_its_capacity_runs_and_the_rest_stays_in_the_log(
    kafka: RunningKafka,
) -> None:
    topic = await make_topic(kafka.bootstrap_servers, "topic")
    running, most, done = 0, 0, 0
    await put(kafka.bootstrap_servers, topic, *[b"%d" % n for n in range(200)])

    async def handle(_: Record) -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.005)
        running -= 1
        done += 1

    async with open_pool(kafka, topic, handle, group=fresh("g")) as pool:
        await eventually(lambda: done > 20, "some work done")
        assert pool.waiting <= 8 + 50
        await eventually(lambda: done == 200, "all work done")

    assert most == 7  # an eighth is kept for the other lane


async def test_a_rebalance_repeats_no_work_that_ran(kafka: RunningKafka) -> None:
    """Also no record beyond a running one: the claims cover it, offsets do not."""
    topic = await make_topic(kafka.bootstrap_servers, "topic", partitions=2)
    group, done = fresh("g"), list[bytes]()
    sent = [b"%d" % n for n in range(60)]
    await put(kafka.bootstrap_servers, topic, *sent)
    by: Counter[str] = Counter()

    def handler(name: str) -> Work:
        async def handle(record: Record) -> None:
            await asyncio.sleep(SLOW_S if record.offset == 0 else 0.2)
            done.append(record.value or b"")
            by[name] += 1

        return handle

    async with open_pool(kafka, topic, handler("0"), group=group, instance="0"):
        await eventually(lambda: len(done) >= 8, "a first round")
        async with open_pool(kafka, topic, handler("1"), group=group, instance="1"):
            await eventually(lambda: len(done) >= 60, "all work done")
            await asyncio.sleep(0.3)

    assert Counter(done) == Counter(sent)
    assert by["0"] > 0


async def test_a_consumer_tells_its_lag_and_pauses(kafka: RunningKafka) -> None:
    topic = await make_topic(kafka.bootstrap_servers, "topic")
    await put(kafka.bootstrap_servers, topic, b"a")
    async with open_group_consumer(
        kafka.bootstrap_servers, [topic], group=fresh("g"), instance="0"
    ) as consumer:
        assert [r.value for r in await poll(consumer)] == [b"a"]
        consumer.pause_only([(topic, 0), ("other", 0)])
        await put(kafka.bootstrap_servers, topic, b"b")
        assert await consumer.poll(max_records=10, timeout_ms=300) == []
        assert consumer.active() == frozenset()

        consumer.pause_only([])

        assert [r.value for r in await poll(consumer)] == [b"b"]
        assert consumer.lag() == {topic: 0}


async def poll(consumer: GroupConsumer) -> list[Record]:
    async with asyncio.timeout(120):
        while True:
            records = await consumer.poll(max_records=10, timeout_ms=200)
            if records:
                return records
