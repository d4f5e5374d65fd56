"""The largest records of each topic go through the real producer and broker, and come back as they were."""

from collections import Counter

from crossdock.kernel.drivers.kafka import open_producer, open_transactional_producer
from support.effort import Effort
from support.engines import RunningKafka
from support.largest import MAKERS, WORST
from support.topics import fresh, make_topic, read_all


async def test_the_largest_records_are_written_and_read(
    kafka: RunningKafka, effort: Effort
) -> None:
    servers = kafka.bootstrap_servers
    topic = await make_topic(servers, "largest")
    sent = [
        record._replace(topic=topic, partition=0)
        for char in effort(WORST[:1], WORST)
        for make in MAKERS.values()
        for record in make(lambda count, char=char: char * count)  # type: ignore[misc]
    ]

    async with open_producer(servers, client="test") as producer:
        await producer.send(sent)
    async with open_transactional_producer(
        servers, client="test", transactional_id=fresh("largest")
    ) as transactional:
        await transactional.commit(sent)

    found = Counter((r.key, r.value, tuple(r.headers)) for r in await read_all(servers, topic))
    assert found == Counter((r.key, r.value, tuple(r.headers)) for r in sent * 2)
