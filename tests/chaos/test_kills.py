"""kill -9 at random moments under load: nothing is lost, every line ends once, no finished line is fed again."""

import asyncio
import random
import time
from collections.abc import Callable

from openai.types import Batch

from crossdock.batches.core.line_feeder import SOURCE
from crossdock.kernel.drivers.kafka import open_producer, open_reader, wait_for_broker
from crossdock.kernel.drivers.kafka.tail import reached
from crossdock_schemas.codec import decode_envelope
from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.topics import REQUESTS
from support.dock import Dock, chat_lines, repeated, until
from support.effort import Effort

VICTIMS = (
    "batches.0",
    "router.0",
    "provider.0",
    "metering.0",
    "ingress.0",
    "router.1",
    "provider.1",
    "kafka",
)


def test_every_stage_and_kafka_may_be_killed_under_load(
    rough: Dock, effort: Effort, tell: Callable[[str], None]
) -> None:
    dock, kills, lines = rough, effort(10, 24), effort(1500, 6000)
    earlier = len(dock.ledger())
    for provider in ("sim-atlas", "sim-borealis", "sim-cumulus"):
        dock.behave(provider, latency={"ms": 400, "kind": "uniform", "spread": 300})
    chance = random.Random(20261123)
    batches = [dock.submit(chat_lines(lines)) for _ in range(2)]
    started = time.monotonic()

    for number in range(kills):
        time.sleep(chance.uniform(0.2, 1.2))
        while not dock.kill(VICTIMS[number % len(VICTIMS)]):
            time.sleep(0.1)
    ended = [dock.wait(batch_id) for batch_id in batches]
    took_s = time.monotonic() - started

    entries = dock.ledger()[earlier:]
    tell(f"{kills} kills in {took_s:.0f} s, {len(entries)} calls for {2 * lines} lines")
    for batch in ended:
        ends_agree(dock, batch, lines)
    answered = {row[0] for row in dock.rows(_COMPLETED.format(", ".join(map(repr, batches))))}
    assert {e["request_id"] for e in entries} >= answered
    fed = asyncio.run(fed_lines(dock, set(batches)))
    assert repeated(f"{batch_id}/{line}" for batch_id, line in fed) == []
    assert len(fed) == 2 * lines


_COMPLETED = "SELECT request_id FROM crossdock.requests FINAL WHERE batch_id IN ({}) AND outcome = 'completed'"
_OUTCOMES = (
    "SELECT outcome, count() FROM crossdock.requests FINAL WHERE batch_id = '{}' GROUP BY outcome"
)


def ends_agree(dock: Dock, batch: Batch, lines: int) -> None:
    """Each line once in a file, the counts say so, and so does ClickHouse."""
    answered, failed = dock.output(batch)
    ids = [line["custom_id"] for line in answered + failed]
    assert repeated(ids) == []
    assert len(ids) == lines
    assert batch.request_counts is not None
    assert batch.request_counts.completed == len(answered)
    assert batch.request_counts.failed == len(failed)
    expected = {"completed": len(answered), "failed": len(failed)}

    def told() -> dict[str, int]:
        return {str(outcome): int(n) for outcome, n in dock.rows(_OUTCOMES.format(batch.id))}

    until(
        lambda: told() == {outcome: n for outcome, n in expected.items() if n},
        what="ClickHouse agreeing with the files",
    )


async def fed_lines(dock: Dock, batches: set[str]) -> list[tuple[str, int]]:
    """Return every line that `batches` fed, as often as it did: what its stage committed on the topic of requests.

    Workers put lines there too, which need another hold after a call of unknown end.
    """
    servers = dock.addresses["KAFKA_BOOTSTRAP_SERVERS"]
    await wait_for_broker(servers, timeout_s=120)  # the last kill may have been the broker's
    async with open_producer(servers, client="test") as producer:
        count = await producer.partition_count(REQUESTS.name)
    places = [(REQUESTS.name, partition) for partition in range(count)]
    fed: list[tuple[str, int]] = []
    async with open_reader(servers, places, client="test") as reader:
        ends = await reader.end_offsets(places)
        while not await reached(reader, ends):
            for record in await reader.poll(max_records=10_000, timeout_ms=200):
                if dict(record.headers).get("ce_source") != SOURCE.encode():
                    continue  # a worker's, or garbage that another test put there
                parcel = decode_envelope(record.headers, Parcel)
                if parcel.batch_id in batches:
                    fed += [(parcel.batch_id, line) for line in parcel.lines]
    return fed
