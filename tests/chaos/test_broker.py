"""The broker is killed within transactions: readers go on afterwards, and see each of them whole or not at all."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from crossdock.kernel.drivers.kafka import wait_for_broker
from support.effort import Effort
from support.engines import RunningKafka, start_kafka
from support.topics import make_topic, put, values_of

TRANSACTION_S = 1.0
AFTERWARDS_S = 30.0
_OWNER = """
import asyncio, os, sys
from crossdock.kernel.drivers.kafka import open_transactional_producer
from crossdock.kernel.process.kafka_settings import ACCESS
from crossdock.kernel.process.record import Outgoing
from crossdock.kernel.process.settings import Settings
from crossdock.kernel.process.timing import Timing

async def main(servers, topic, turn, timeout_ms):
    async def begin(name):
        opened = open_transactional_producer(
            servers, client=name, transactional_id=f"{name}.{turn}", timing=Timing(transaction_ms=int(timeout_ms))
        )
        producer = await opened.__aenter__()
        await producer._raw.begin_transaction()
        value = f"{name} {turn}".encode()
        await producer.send([Outgoing(topic, value, value, [], number) for number in (0, 1)])
        return producer

    left_open, ending = await begin("open"), await begin("ending")
    print("begun", flush=True)
    await ending._raw.commit_transaction()
    await asyncio.sleep(60)

ACCESS.use(Settings.from_env(os.environ))
asyncio.run(main(*sys.argv[1:]))
"""


def die_within_transactions(kafka: RunningKafka, topic: str, turn: int) -> None:
    """Kill the broker while one transaction is open and another is being committed, and their owner too."""
    timeout_ms = str(int(TRANSACTION_S * 1000))
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER, kafka.bootstrap_servers, topic, str(turn), timeout_ms],
        env=kafka.variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert owner.stdout is not None
    with owner, owner.stdout as said:
        assert said.readline() == b"begun\n"
        time.sleep(0.0015 * turn)
        kafka.kill()
        owner.kill()


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


async def test_every_transaction_ends_on_every_partition(
    tmp_path: Path, effort: Effort, tell: Callable[[str], None]
) -> None:
    """Kafka 4.3 leaves ends out (ADR 0027); two different entries had one number in the books."""
    values: list[bytes] = []
    turns = effort(2, 6)
    with start_kafka(tmp_path) as kafka:
        topic = await make_topic(kafka.bootstrap_servers, "transactions", partitions=2)
        for turn in range(turns):
            await asyncio.to_thread(die_within_transactions, kafka, topic, turn)
            await asyncio.sleep(TRANSACTION_S)
            kafka.start()
            await wait_for_broker(kafka.bootstrap_servers, timeout_s=AFTERWARDS_S)
            values = await readers_go_on(kafka, topic, turn)
    tell(f"{turns} kills within two transactions each: {sorted(values)}")
    assert not [value for value in values if value.startswith(b"open")]
    assert all(values.count(b"ending %d" % turn) in {0, 2} for turn in range(turns))
