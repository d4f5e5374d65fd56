"""The doors to Kafka and ClickHouse: groups are acknowledged, foreign errors are ours, twice is once."""

import asyncio
import sys
from pathlib import Path

import pytest

from crossdock.kernel.drivers.clickhouse import migrate, open_tables
from crossdock.kernel.drivers.kafka import (
    Tail,
    may_forget_ends,
    open_group_consumer,
    open_producer,
    provision,
    topics_of,
    wait_for_broker,
)
from crossdock.kernel.process.errors import (
    LogError,
    LogUnreachableError,
    RecordTooLargeError,
    TableError,
)
from crossdock.kernel.process.record import MAX_RECORD_BYTES, Outgoing
from crossdock.local.ports import free_port
from crossdock_schemas.pricing.catalogue import Catalogue, Provider
from crossdock_schemas.topics import Provisioned
from support.engines import RunningKafka, start_kafka
from support.topics import eventually, fresh, in_background, make_topic, put, read_all, values_of


async def test_a_group_larger_than_a_batch_arrives_whole_and_in_order(kafka: RunningKafka) -> None:
    servers = kafka.bootstrap_servers
    topic = await make_topic(servers, "topic", partitions=2)
    values = [b"%d" % n * 50_000 for n in range(60)]

    async with open_producer(servers, client="test") as producer:
        await producer.send(
            [Outgoing(topic, b"k", v, [("n", b"1")], n % 2) for n, v in enumerate(values)]
        )

    found = await read_all(servers, topic)
    assert [r.value for r in found if r.partition == 0] == values[0::2]
    assert [r.value for r in found if r.partition == 1] == values[1::2]
    assert list(found[0].headers) == [("n", b"1")]


async def test_a_record_that_is_too_large_is_refused_before_it_is_sent(kafka: RunningKafka) -> None:
    topic = await make_topic(kafka.bootstrap_servers, "topic")
    largest = [Outgoing(topic, b"k", b"x" * (MAX_RECORD_BYTES - 1 + more), []) for more in (0, 1)]
    async with open_producer(kafka.bootstrap_servers, client="test") as producer:
        await producer.send(largest[:1])
        with pytest.raises(RecordTooLargeError, match="too large"):
            await producer.send(largest)
    assert len(await values_of(kafka.bootstrap_servers, topic)) == 1


async def test_a_broker_that_is_not_there_is_told_with_the_remedy() -> None:
    nowhere = f"127.0.0.1:{free_port()}"

    with pytest.raises(LogUnreachableError, match="set KAFKA_BOOTSTRAP_SERVERS"):
        await wait_for_broker(nowhere, timeout_s=0.1)
    with pytest.raises(LogUnreachableError):
        await may_forget_ends(nowhere)
    with pytest.raises(LogUnreachableError):
        await provision(nowhere, [])
    with pytest.raises(LogUnreachableError):
        async with open_producer(nowhere, client="test"):
            pass
    with pytest.raises(LogUnreachableError):
        async with open_group_consumer(nowhere, ["t"], group="g", instance="0"):
            pass


async def test_provisioning_twice_makes_each_topic_once(kafka: RunningKafka) -> None:
    servers, name = kafka.bootstrap_servers, fresh("topic")

    first = await provision(servers, [Provisioned(name, 2)])
    again = await provision(servers, [Provisioned(name, 2)])

    assert (first, again) == ([name], [])
    with pytest.raises(LogError, match="has 2 partitions, not 3: set CROSSDOCK_PARTITIONS"):
        await provision(servers, [Provisioned(name, 3)])


async def test_the_provision_job_makes_topics_of_new_providers_without_clickhouse(
    kafka: RunningKafka, tmp_path: Path
) -> None:
    """Also by its earlier name."""
    name = fresh("provider").replace(".", "-")
    provider = Provider(name=name, base_url="http://x.test/v1", models=())
    file = tmp_path / "catalogue.json"
    file.write_text(Catalogue(providers=(provider,)).model_dump_json())
    env = kafka.variables | {"CROSSDOCK_CATALOGUE": str(file)}
    for module in ("crossdock.kernel.provisioning.main", "crossdock.kernel.provision"):
        job = await asyncio.create_subprocess_exec(sys.executable, "-m", module, env=env)
        assert await job.wait() == 0

    assert f"dispatch.{name}.batch" in await topics_of(kafka.bootstrap_servers)


async def test_a_setting_that_kafka_refuses_is_told(kafka: RunningKafka) -> None:
    with pytest.raises(LogError, match="cannot create topic"):
        await provision(
            kafka.bootstrap_servers, [Provisioned(fresh("t"), 1, {"cleanup.policy": "nonsense"})]
        )


async def test_a_tail_reads_what_is_there_then_follows(kafka: RunningKafka) -> None:
    servers = kafka.bootstrap_servers
    topic = await make_topic(servers, "topic", partitions=2)
    await put(servers, topic, b"a", b"b", b"c")
    seen: list[bytes] = []
    tail = Tail(
        servers, [(topic, 0), (topic, 1)], lambda r: seen.append(r.value or b""), client="test"
    )
    assert tail.lag() == {}

    async with in_background(tail.run):
        await asyncio.wait_for(tail.caught_up.wait(), 20)
        assert sorted(seen) == [b"a", b"b", b"c"]
        await put(servers, topic, b"d")
        await eventually(lambda: b"d" in seen, "the next record")
        assert tail.lag() == {topic: 0}


async def test_a_tail_since_now_reads_only_what_comes(kafka: RunningKafka) -> None:
    servers = kafka.bootstrap_servers
    topic = await make_topic(servers, "topic")
    await put(servers, topic, b"old")
    seen: list[bytes] = []
    tail = Tail(
        servers,
        [(topic, 0)],
        lambda r: seen.append(r.value or b""),
        client="test",
        since_ms=4_000_000_000_000,
    )

    async with in_background(tail.run):
        await asyncio.wait_for(tail.caught_up.wait(), 20)
        await put(servers, topic, b"new")
        await eventually(lambda: bool(seen), "a record")

    assert seen == [b"new"]


async def test_what_was_acknowledged_outlives_brokers_that_are_killed(tmp_path: Path) -> None:
    """And producers and tails go on by themselves once the broker is back."""
    with start_kafka(tmp_path / "kafka") as kafka:
        servers = kafka.bootstrap_servers
        topic = await make_topic(servers, "topic")
        acknowledged: list[bytes] = []
        seen: list[bytes] = []
        tail = Tail(servers, [(topic, 0)], lambda r: seen.append(r.value or b""), client="test")

        async def produce(stop: asyncio.Event) -> None:
            async with open_producer(servers, client="test") as producer:
                number = 0
                while not stop.is_set():
                    value = b"%d" % number
                    await producer.send([Outgoing(topic, b"k", value, [])])
                    acknowledged.append(value)
                    number += 1
                    await asyncio.sleep(0.002)

        async with in_background(tail.run), in_background(produce):
            for _ in range(2):
                await eventually(lambda: len(acknowledged) > 50, "some records")
                await asyncio.to_thread(kafka.kill)
                await asyncio.to_thread(kafka.start)
                before = len(acknowledged)
                await eventually(lambda n=before: len(acknowledged) > n + 50, "more records")  # type: ignore[misc]
        found = await values_of(servers, topic)

    assert [value for value in found if value in set(acknowledged)] == acknowledged
    assert seen == found[: len(seen)]
    assert len(seen) >= 100


async def test_what_clickhouse_refuses_is_our_error(clickhouse_url: str) -> None:
    async with open_tables(clickhouse_url, {"nowhere": ("a",)}) as tables:
        with pytest.raises(TableError, match="cannot query"):
            await tables.query("SELECT * FROM nowhere.at_all")
        with pytest.raises(TableError, match="cannot run"):
            await tables.command("DROP TABLE nowhere.at_all")
        with pytest.raises(TableError, match="cannot insert into nowhere"):
            await tables.insert("nowhere", [(1,)])


INSERT = """
import asyncio, sys
from crossdock.kernel.drivers.clickhouse import open_tables

async def main(url):
    async with open_tables(url, {"brought": ("at",)}) as tables:
        await tables.command("CREATE TABLE crossdock.brought (at DateTime64(3)) ENGINE = Memory")
        await tables.insert("brought", [[0]])
        print(len(await tables.query("SELECT at FROM crossdock.brought")))

asyncio.run(main(sys.argv[1]))
print("pandas" in sys.modules, "numpy" in sys.modules)
"""


async def test_an_insert_brings_in_no_library_that_takes_seconds(clickhouse_url: str) -> None:
    """The loop of metering stood still for 3.4 s, and its supervisor called it unready: pandas came with chdb."""
    async with open_tables(clickhouse_url) as tables:
        await migrate(tables)

    done = await asyncio.create_subprocess_exec(
        sys.executable, "-c", INSERT, clickhouse_url, stdout=asyncio.subprocess.PIPE
    )

    told, _ = await done.communicate()
    assert told == b"1\nFalse False\n"


async def test_a_clickhouse_that_is_not_there_is_told_with_the_remedy() -> None:
    with pytest.raises(TableError, match="check CLICKHOUSE_URL"):
        async with open_tables(f"http://127.0.0.1:{free_port()}"):
            pass


async def test_a_broker_of_4_2_is_not_taken_for_one_that_forgets_ends(kafka: RunningKafka) -> None:
    assert not await may_forget_ends(kafka.bootstrap_servers)
