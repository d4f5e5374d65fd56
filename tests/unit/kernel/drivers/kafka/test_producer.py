"""The producer before it knows a topic, and what it makes of a group of records."""

import asyncio
from typing import Any, NamedTuple

import pytest
from aiokafka.errors import KafkaTimeoutError, UnknownTopicOrPartitionError

from crossdock.kernel.drivers.kafka.producer import Producer
from crossdock.kernel.process.errors import LogError, RecordTooLargeError
from crossdock.kernel.process.record import MAX_RECORD_BYTES, Outgoing


class Client:
    """A broker that is away, and comes back after a few questions. aiokafka's lookup gives up after 30 s each."""

    def __init__(self, *, away: int, partitions: int) -> None:
        self.client = self
        self._away = away
        self._partitions = partitions

    async def partitions_for(self, topic: str) -> set[int]:
        if self._away or not self._partitions:
            raise UnknownTopicOrPartitionError
        return set(range(self._partitions))

    async def force_metadata_update(self) -> bool:
        answered = not self._away
        self._away = max(0, self._away - 1)
        return answered


async def test_a_topic_is_waited_for_while_no_broker_answers() -> None:
    """The disk was full a second after start: the first report raised, and 544 calls under way were repeated."""
    producer = Producer(Client(away=3, partitions=12))

    assert await producer.partition_count("fleet") == 12


async def test_a_topic_that_the_broker_does_not_know_is_an_error() -> None:
    producer = Producer(Client(away=1, partitions=0))

    with pytest.raises(LogError, match="nowhere"):
        await producer.send([Outgoing("nowhere", b"key", b"", [])])


class Acknowledged(NamedTuple):
    offset: int


class Appended(NamedTuple):
    size: int


class Batch:
    """Has room for two records."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def append(self, *, value: bytes, **_: object) -> Appended | None:
        if len(self.values) == 2:
            return None
        self.values.append(value)
        return Appended(len(value))


class Broker:
    """Takes batches, at most `limit` of them, and tells where the first record of each one lies."""

    def __init__(self, limit: int = 100) -> None:
        self.taken: list[tuple[str, int, list[bytes]]] = []
        self.unseen: list[asyncio.Future[Acknowledged]] = []
        self._limit = limit
        self._ends: dict[tuple[str, int], int] = {}

    async def partitions_for(self, topic: str) -> set[int]:
        return {0, 1, 2}

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(
        self, batch: Batch, topic: str, *, partition: int
    ) -> asyncio.Future[Acknowledged]:
        acknowledged = asyncio.get_running_loop().create_future()
        if len(self.taken) == self._limit:
            for earlier in self.unseen:
                earlier.set_exception(KafkaTimeoutError())
            raise KafkaTimeoutError
        offset = self._ends.get((topic, partition), 100)
        self._ends[topic, partition] = offset + len(batch.values)
        self.taken.append((topic, partition, batch.values))
        if self._limit == 100:
            acknowledged.set_result(Acknowledged(offset))
        self.unseen.append(acknowledged)
        return acknowledged


def numbered(topic: str, partition: int, count: int) -> list[Outgoing]:
    return [Outgoing(topic, None, b"%d" % n, [], partition) for n in range(count)]


async def test_each_partition_has_its_records_in_order_and_none_waits_for_another_ones_end() -> (
    None
):
    broker = Broker()
    messages = [*numbered("a", 0, 5), *numbered("b", 1, 1), *numbered("a", 2, 3)]

    firsts = await Producer(broker).send(messages)

    assert broker.taken == [
        ("a", 0, [b"0", b"1"]),
        ("b", 1, [b"0"]),
        ("a", 2, [b"0", b"1"]),
        ("a", 0, [b"2", b"3"]),
        ("a", 2, [b"2"]),
        ("a", 0, [b"4"]),
    ]
    assert firsts == {("a", 0): 100, ("b", 1): 100, ("a", 2): 100}


async def test_nothing_is_sent_of_a_group_with_a_record_that_the_broker_would_not_take() -> None:
    broker = Broker()
    large = Outgoing("a", None, b"x" * (MAX_RECORD_BYTES + 1), [], 1)

    with pytest.raises(
        RecordTooLargeError, match=r"a record of 1000001 bytes for 'a' is too large"
    ):
        await Producer(broker).send([*numbered("a", 0, 3), large])

    assert not broker.taken


async def test_what_the_broker_refuses_is_an_error_and_no_failure_before_it_is_left_unseen() -> (
    None
):
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    broker = Broker(limit=1)

    with pytest.raises(LogError, match="cannot send to 'a'"):
        await Producer(broker).send([*numbered("a", 0, 1), *numbered("a", 1, 1)])
    broker.unseen.clear()

    assert not told
