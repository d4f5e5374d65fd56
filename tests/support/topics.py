"""Fresh topics for tests on a shared broker, and their records."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from crossdock.kernel.drivers.kafka import (
    TransactionalProducer,
    open_producer,
    open_reader,
    provision,
)
from crossdock.kernel.drivers.kafka.tail import reached
from crossdock.kernel.process.record import Outgoing, Record
from crossdock_schemas.topics import Provisioned

WAIT_S = 120.0


def fresh(name: str) -> str:
    """Return a name that was not used before."""
    return f"{name}.{secrets.token_hex(4)}"


async def make_topic(servers: str, name: str, *, partitions: int = 1, compact: bool = False) -> str:
    """Create a topic with a fresh name and return it."""
    topic = fresh(name)
    config = {"cleanup.policy": "compact" if compact else "delete"}
    await provision(servers, [Provisioned(topic, partitions, config)])
    return topic


async def put(servers: str, topic: str, *values: bytes, partition: int | None = None) -> None:
    """Produce `values`; the value is the key too."""
    async with open_producer(servers, client="test") as producer:
        await producer.send([Outgoing(topic, value, value, [], partition) for value in values])


async def read_all(servers: str, topic: str) -> list[Record]:
    """Return every committed record of `topic`, partition after partition."""
    async with open_producer(servers, client="test") as producer:
        count = await producer.partition_count(topic)
    places = [(topic, partition) for partition in range(count)]
    found: list[Record] = []
    async with open_reader(servers, places, client="test") as reader:
        ends = await reader.end_offsets(places)
        while not await reached(reader, ends):
            found += await reader.poll(max_records=10_000, timeout_ms=100)
    return sorted(found, key=lambda record: (record.partition, record.offset))


async def values_of(servers: str, topic: str) -> list[bytes]:
    return [record.value or b"" for record in await read_all(servers, topic)]


async def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until `condition()` holds, while other tasks run."""
    give_up = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > give_up:
            raise TimeoutError(f"{what} did not come about in {WAIT_S:.0f} s")
        await asyncio.sleep(0.02)


@asynccontextmanager
async def in_background(
    run: Callable[[asyncio.Event], object],
) -> AsyncIterator[asyncio.Event]:
    """Run `run(stop)` beside the block; `stop` is set at its end, and what was raised comes out."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(run(stop))  # type: ignore[arg-type]  # any coroutine
        try:
            yield stop
        finally:
            stop.set()


async def abort(producer: TransactionalProducer, message: Outgoing) -> None:
    """Send `message` in a transaction that is aborted."""
    with suppress(LookupError):
        async with producer._raw.transaction():
            await producer.send([message])
            raise LookupError
