"""A group reads what its members ask for, also when a static member comes back with another list of topics."""

import asyncio

from crossdock.kernel.drivers.kafka import GroupConsumer, open_group_consumer
from crossdock.kernel.drivers.kafka.membership import members_of
from crossdock.kernel.process.record import Record
from support.effort import Effort
from support.engines import RunningKafka
from support.topics import eventually, fresh, in_background, make_topic, put


async def reads(member: GroupConsumer, topics: list[str]) -> None:
    """Poll until `member` alone reads all of `topics`, or its time is over."""
    for _ in range(50):
        await member.poll(max_records=10, timeout_ms=100)
        if {topic for topic, _ in member.assignment()} == set(topics):
            return
    raise AssertionError(member.assignment())


LISTS = ("one", "one two", "two", "one")


async def test_a_member_that_comes_back_with_another_list_reads_that_list(
    kafka: RunningKafka, effort: Effort
) -> None:
    """Without leaving it keeps its old partitions: a new topic has no reader, and a lost one ends the process."""
    servers = kafka.bootstrap_servers
    named = {name: await make_topic(servers, name, partitions=2) for name in ("one", "two")}
    for _ in range(effort(3, 20)):
        group = fresh("g")
        for names in LISTS:
            topics = [named[name] for name in names.split()]
            async with open_group_consumer(servers, topics, group=group, instance="0") as member:
                await reads(member, topics)


async def test_so_it_does_beside_another_member(kafka: RunningKafka, effort: Effort) -> None:
    servers, group = kafka.bootstrap_servers, fresh("g")
    named = {name: await make_topic(servers, name, partitions=2) for name in ("one", "two")}

    async def other(stop: asyncio.Event) -> None:
        async with open_group_consumer(servers, [named["one"]], group=group, instance="1") as o:
            while not stop.is_set():
                await o.poll(max_records=10, timeout_ms=100)

    async with in_background(other):
        for _ in range(effort(1, 10)):
            for names in LISTS:
                topics = [named[name] for name in names.split()]
                async with open_group_consumer(servers, topics, group=group, instance="0") as own:
                    await reads(own, topics)


async def test_a_member_that_comes_back_with_the_same_list_stays_the_same_member(
    kafka: RunningKafka,
) -> None:
    servers, group = kafka.bootstrap_servers, fresh("g")
    topic = await make_topic(servers, "topic", partitions=2)
    async with open_group_consumer(servers, [topic], group=group, instance="0") as member:
        await reads(member, [topic])
    async with open_group_consumer(servers, [topic], group=group, instance="0") as member:
        await reads(member, [topic])
        members = await members_of(servers, group)

    assert [(m.client, m.topics) for m in members] == [(f"{group}.0", frozenset([topic]))]
    assert members[0].places == {(topic, 0), (topic, 1)}


async def test_a_member_that_joins_again_reads_on(kafka: RunningKafka) -> None:
    servers, group = kafka.bootstrap_servers, fresh("g")
    topic = await make_topic(servers, "topic", partitions=2)
    async with (
        asyncio.timeout(60),
        open_group_consumer(servers, [topic], group=group, instance="0") as member,
    ):
        await reads(member, [topic])
        (before,) = await members_of(servers, group)

        await member.rejoin()

        await eventually(lambda: not member.unread([topic]), "the assignment")
        await put(servers, topic, b"next")
        records: list[Record] = []
        while not records:
            records = await member.poll(max_records=10, timeout_ms=100)
        (after,) = await members_of(servers, group)

    assert records[0].value == b"next"
    assert after.member_id != before.member_id


async def test_a_running_member_reads_other_topics(kafka: RunningKafka, effort: Effort) -> None:
    servers, group = kafka.bootstrap_servers, fresh("g")
    named = {name: await make_topic(servers, name, partitions=2) for name in ("one", "two")}
    async with (
        asyncio.timeout(200),
        open_group_consumer(servers, [named["one"]], group=group, instance="0") as member,
    ):
        await reads(member, [named["one"]])
        for names in LISTS[1:] * effort(2, 20):
            topics = [named[name] for name in names.split()]
            await member.resubscribe(topics)
            await reads(member, topics)
        await put(servers, named["one"], b"x")
        records: list[Record] = []
        while not records:
            records = await member.poll(max_records=10, timeout_ms=100)

    assert [record.value for record in records] == [b"x"]


async def test_a_topic_without_a_reader_is_known(kafka: RunningKafka) -> None:
    servers, group = kafka.bootstrap_servers, fresh("g")
    one, two = [await make_topic(servers, name, partitions=2) for name in ("one", "two")]
    async with open_group_consumer(servers, [one], group=group, instance="0") as member:
        await reads(member, [one])

        assert member.unread([one, two]) == frozenset({two})
        assert await member.unread_in_group([one, two]) == frozenset({two})

        async with open_group_consumer(servers, [two], group=group, instance="1") as other:
            await reads(other, [two])
            assert await member.unread_in_group([one, two]) == frozenset()
