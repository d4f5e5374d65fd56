"""The producer before it knows a topic."""

import pytest
from aiokafka.errors import UnknownTopicOrPartitionError

from crossdock.kernel.errors import LogError
from crossdock.kernel.kafka.producer import Producer
from crossdock.kernel.record import Outgoing


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
