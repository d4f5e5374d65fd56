"""The broker is killed within transactions: readers go on afterwards, and see each of them whole or not at all."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from crossdock.kernel.errors import LogError
from crossdock.kernel.kafka import (
    TransactionalProducer,
    open_transactional_producer,
    wait_for_broker,
)
from crossdock.kernel.kafka import producer as door
from crossdock.kernel.record import Outgoing
from support.engines import RunningKafka, start_kafka
from support.topics import make_topic, put, values_of

TURNS = 3
TRANSACTION_S = 2.0
AFTERWARDS_S = 30.0


async def begin(producer: TransactionalProducer, topic: str, value: bytes) -> None:
    """Write `value` to both partitions in a transaction that is left open."""
    await producer._raw.begin_transaction()
    await producer.send([Outgoing(topic, value, value, [], number) for number in (0, 1)])


async def die_within_transactions(kafka: RunningKafka, topic: str, turn: int) -> None:
    """Kill the broker while one transaction is open and another is being committed; nobody comes back for them."""
    async with AsyncExitStack() as stack:
        one, other = [
            await stack.enter_async_context(
                open_transactional_producer(
                    kafka.bootstrap_servers, client=name, transactional_id=f"{name}.{turn}"
                )
            )
            for name in ("open", "ending")
        ]
        await begin(one, topic, b"open %d" % turn)
        await begin(other, topic, b"ending %d" % turn)
        ending = asyncio.ensure_future(other._raw.commit_transaction())  # noqa: TID251  # cancelled below
        await asyncio.sleep(0.0015 * turn)
        kafka.kill()
        ending.cancel()
        await asyncio.wait((ending,))


async def readers_go_on(kafka: RunningKafka, topic: str, turn: int) -> list[bytes]:
    """Return what is read once what was written after the start is read."""
    after = b"after %d" % turn
    for partition in (0, 1):
        await put(kafka.bootstrap_servers, topic, after, partition=partition)
    give_up = time.monotonic() + AFTERWARDS_S
    while (values := await values_of(kafka.bootstrap_servers, topic)).count(after) < 2:
        if time.monotonic() > give_up:
            pytest.fail(f"turn {turn}: readers still wait for an end of a transaction: {values}")
        await asyncio.sleep(0.5)
    return values


@pytest.mark.timeout(240)
async def test_every_transaction_ends_on_every_partition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tell: Callable[[str], None]
) -> None:
    """Kafka 4.3 leaves ends out (ADR 0027); two different entries had one number in the books."""
    monkeypatch.setattr(door, "TRANSACTION_TIMEOUT_MS", int(TRANSACTION_S * 1000))
    monkeypatch.setattr(door, "STOP_LIMIT_S", 0.5)
    values: list[bytes] = []
    with start_kafka(tmp_path) as kafka:
        topic = await make_topic(kafka.bootstrap_servers, "transactions", partitions=2)
        for turn in range(TURNS):
            with suppress(LogError):  # leaving without a broker
                await die_within_transactions(kafka, topic, turn)
            await asyncio.sleep(TRANSACTION_S)
            kafka.start()
            await wait_for_broker(kafka.bootstrap_servers, timeout_s=AFTERWARDS_S)
            values = await readers_go_on(kafka, topic, turn)
    tell(f"{TURNS} kills within two transactions each: {sorted(values)}")
    assert not [value for value in values if value.startswith(b"open")]
    assert all(values.count(b"ending %d" % turn) in {0, 2} for turn in range(TURNS))
