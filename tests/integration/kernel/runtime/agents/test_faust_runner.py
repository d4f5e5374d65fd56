"""The shape "agents" on a real broker: committed records only, acknowledged when their outputs are."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from crossdock.kernel.drivers.kafka import open_transactional_producer, provision
from crossdock.kernel.process.kafka_settings import ACCESS
from crossdock.kernel.process.record import Outgoing, Record
from crossdock.kernel.runtime.agents.faust_runner import AgentRunner, AgentSpec
from crossdock_schemas.topics import Provisioned
from support.engines import RunningKafka
from support.topics import abort, eventually, fresh, make_topic, put, values_of


class Handled:
    """The records that the agents got, and whether they refuse."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.refuses = False
        self.output: str | None = None

    async def handle(self, records: Sequence[Record]) -> list[Outgoing]:
        if self.refuses:
            raise LookupError("a bug of ours")
        self.values += [record.value or b"" for record in records]
        if self.output is None:
            return []
        return [Outgoing(self.output, record.key, record.value, []) for record in records]


@asynccontextmanager
async def running(
    kafka: RunningKafka,
    topic: str,
    handle: Callable[[Sequence[Record]], object],
    folder: Path,
    *,
    group: str,
    instance: str = "0",
    is_ready: bool = True,
) -> AsyncIterator[AgentRunner]:
    """Run until the block ends; the block begins once the runner is ready, if `is_ready`."""
    positions = Provisioned(f"{topic}.positions", 2, {"cleanup.policy": "compact"})
    await provision(kafka.bootstrap_servers, [positions])
    runner = AgentRunner(
        AgentSpec(group, topic, positions.name),
        kafka.bootstrap_servers,
        handle,  # type: ignore[arg-type]  # any coroutine function
        instance=instance,
        folder=folder / instance,
    )
    stop, ready = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(runner.run(stop, ready.set))
        try:
            if is_ready:
                await ready.wait()
            yield runner
        finally:
            stop.set()


async def test_aborted_records_never_reach_an_agent(kafka: RunningKafka, tmp_path: Path) -> None:
    servers, topic = kafka.bootstrap_servers, await make_topic(kafka.bootstrap_servers, "topic")
    async with open_transactional_producer(
        servers, client="t", transactional_id=fresh("t")
    ) as producer:
        await abort(producer, Outgoing(topic, b"k", b"aborted", []))
        await producer.commit([Outgoing(topic, b"k", b"committed", [("h", b"1")])])

    handled = Handled()
    async with running(kafka, topic, handled.handle, tmp_path, group=fresh("g")):
        await eventually(lambda: bool(handled.values), "a record")
        await put(servers, topic, b"plain")
        await eventually(lambda: len(handled.values) == 2, "the second record")

    assert handled.values == [b"committed", b"plain"]


async def test_what_was_handled_is_not_delivered_again_after_an_orderly_stop(
    kafka: RunningKafka, tmp_path: Path
) -> None:
    servers, topic = kafka.bootstrap_servers, await make_topic(kafka.bootstrap_servers, "topic")
    group, handled = fresh("g"), Handled()
    await put(servers, topic, *[b"%d" % n for n in range(50)])
    async with running(kafka, topic, handled.handle, tmp_path, group=group):
        await eventually(lambda: len(handled.values) == 50, "all records")

    await put(servers, topic, b"next")
    async with running(kafka, topic, handled.handle, tmp_path, group=group) as runner:
        await eventually(lambda: b"next" in handled.values, "the next record")
        lag = runner.lag()

    assert handled.values == [*[b"%d" % n for n in range(50)], b"next"]
    assert lag == {topic: 0}


async def test_an_error_ends_the_runner_and_what_it_was_given_comes_again(
    kafka: RunningKafka, tmp_path: Path
) -> None:
    servers, topic = kafka.bootstrap_servers, await make_topic(kafka.bootstrap_servers, "topic")
    group, handled = fresh("g"), Handled()
    handled.refuses = True
    await put(servers, topic, b"a", b"b")

    with pytest.raises(ExceptionGroup) as caught:
        async with running(kafka, topic, handled.handle, tmp_path, group=group):
            await asyncio.sleep(30)
    assert caught.group_contains(LookupError)

    handled.refuses = False
    async with running(kafka, topic, handled.handle, tmp_path, group=group):
        await eventually(lambda: len(handled.values) == 2, "both records")
    assert handled.values == [b"a", b"b"]


async def test_two_runners_share_the_partitions(kafka: RunningKafka, tmp_path: Path) -> None:
    servers = kafka.bootstrap_servers
    topic = await make_topic(servers, "topic", partitions=2)
    group, one, other = fresh("g"), Handled(), Handled()
    async with (
        running(kafka, topic, one.handle, tmp_path, group=group, instance="0"),
        running(kafka, topic, other.handle, tmp_path, group=group, instance="1"),
    ):
        await asyncio.sleep(2)
        sent = [b"%d" % n for n in range(40)]
        await put(servers, topic, *sent)
        await eventually(lambda: len(one.values + other.values) >= 40, "all records")

    assert sorted(one.values + other.values) == sorted(sent)
    assert one.values
    assert other.values


async def test_what_was_sent_on_is_not_sent_again_when_the_group_forgot_how_far_it_was(
    kafka: RunningKafka, tmp_path: Path
) -> None:
    """Another group id is a group that committed nothing; positions and fence are those of the first."""
    servers, topic = kafka.bootstrap_servers, await make_topic(kafka.bootstrap_servers, "topic")
    group, handled = fresh("g"), Handled()
    handled.output = await make_topic(servers, "output")
    await put(servers, topic, b"a", b"b")
    async with running(kafka, topic, handled.handle, tmp_path, group=group):
        await eventually(lambda: len(handled.values) == 2, "both records")

    await put(servers, topic, b"c")
    async with running(kafka, topic, handled.handle, tmp_path, group=fresh("g")):
        await eventually(lambda: b"c" in handled.values, "the new record")

    assert handled.values == [b"a", b"b", b"c"]
    assert await values_of(servers, handled.output) == [b"a", b"b", b"c"]


async def test_a_runner_that_joined_before_its_topic_was_known_gets_its_records_soon(
    kafka: RunningKafka, tmp_path: Path
) -> None:
    """A restarted broker may not know its topics yet. A runner then stood without partitions for five minutes."""
    servers, topic, handled = kafka.bootstrap_servers, fresh("topic"), Handled()

    group = fresh("g")
    async with running(kafka, topic, handled.handle, tmp_path, group=group, is_ready=False):
        await provision(servers, [Provisioned(topic, 2)])
        await put(servers, topic, b"first")
        async with asyncio.timeout(60):
            await eventually(lambda: handled.values == [b"first"], "the record")


async def test_its_group_goes_on_where_it_left_off_whatever_transactions_wrote(
    kafka: RunningKafka, tmp_path: Path
) -> None:
    """Each transaction leaves a marker between the records. A group that stops there reads all of it again."""
    servers, topic = kafka.bootstrap_servers, await make_topic(kafka.bootstrap_servers, "topic")
    group, handled = fresh("g"), Handled()
    handled.output = await make_topic(servers, "output")
    async with open_transactional_producer(
        servers, client="t", transactional_id=fresh("t")
    ) as producer:
        for number in range(40):
            await producer.commit([Outgoing(topic, b"k", b"%d" % number, [], 0)])
    async with running(kafka, topic, handled.handle, tmp_path, group=group):
        await eventually(lambda: len(handled.values) == 40, "all records")

    last = 2 * 39  # a marker lies behind each record
    assert await committed_of(servers, group, topic) == {0: last + 1}


async def test_a_runner_is_ready_once_it_has_caught_up(kafka: RunningKafka, tmp_path: Path) -> None:
    servers, topic = kafka.bootstrap_servers, await make_topic(kafka.bootstrap_servers, "topic")
    handled = Handled()
    await put(servers, topic, *[b"%d" % n for n in range(3000)])

    async with running(kafka, topic, handled.handle, tmp_path, group=fresh("g")):
        assert len(handled.values) == 3000  # it is ready when the block begins


async def committed_of(servers: str, group: str, topic: str) -> dict[int, int]:
    """Return the offset that `group` committed, by partition."""
    admin = AIOKafkaAdminClient(**ACCESS.options(servers))
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(group)
    finally:
        await admin.close()
    return {p.partition: at.offset for p, at in found.items() if p.topic == topic}


async def test_a_runner_that_gets_no_partition_is_ready_too(
    kafka: RunningKafka, tmp_path: Path
) -> None:
    """An installation may have more routers than partitions."""
    topic, group = await make_topic(kafka.bootstrap_servers, "topic"), fresh("g")
    one, other = Handled(), Handled()
    async with (
        asyncio.timeout(60),
        running(kafka, topic, one.handle, tmp_path, group=group, instance="0"),
        running(kafka, topic, other.handle, tmp_path, group=group, instance="1"),
    ):
        await put(kafka.bootstrap_servers, topic, b"x")
        await eventually(lambda: one.values + other.values == [b"x"], "the record")
