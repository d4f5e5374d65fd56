"""Delayed retries: what 100,000 that wait cost in memory, and how late each goes on.

Run: infra/scripts/bench delayed [--count 100000]

Parcels of one line are put on later.30s at a steady pace, so that all of them wait when the first one is due. A reader
of the dispatch topics notes when the broker got each one back. The provider then calls them, at the pace at which they
come; that is not measured here.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from crossdock.kernel.drivers.kafka import GroupConsumer, Producer, open_producer, open_reader
from crossdock.kernel.process.record import Outgoing
from crossdock_schemas.codec import decode_envelope, encode_headers
from crossdock_schemas.parcel.parcel import Lane, Parcel
from crossdock_schemas.topics import LATER, dispatch_topic
from support.dock import Dock, running_dock
from unit.provider.builders import make_line, make_parcel

DELAY_MS = 30_000
PUT_S = 25.0  # all are put before the first is due
GROUP = 500
PROVIDER = "sim-atlas"
LIMIT_S = 2.0


@dataclass
class Arrivals:
    """When each parcel was back, in ms after it was due."""

    late_ms: dict[str, int] = field(default_factory=dict)

    async def read(self, reader: GroupConsumer, count: int) -> None:
        while len(self.late_ms) < count:
            for record in await reader.poll(max_records=2000, timeout_ms=200):
                parcel = decode_envelope(record.headers, Parcel)
                if parcel.due_ms is not None:
                    self.late_ms[parcel.parcel_id] = record.timestamp_ms - parcel.due_ms


async def put(producer: Producer, count: int) -> None:
    """Put `count` parcels on the topic, evenly over PUT_S."""
    began = time.monotonic()
    for start in range(0, count, GROUP):
        now_ms = time.time_ns() // 1_000_000
        numbers = range(start, min(start + GROUP, count))
        await producer.send([delayed(number, now_ms) for number in numbers])
        await asyncio.sleep(max(0.0, began + PUT_S * (start + GROUP) / count - time.monotonic()))


def delayed(number: int, now_ms: int) -> Outgoing:
    parcel = make_parcel(
        lines=(number,),
        providers=(PROVIDER,),
        parcel_id=f"parcel_{number:032x}",
        created_at_ms=now_ms,
        deadline_ms=now_ms + 3_600_000,
        due_ms=now_ms + DELAY_MS,
    )
    topic = LATER[DELAY_MS]
    headers = encode_headers(topic, "bench", parcel.parcel_id, now_ms, parcel)
    return Outgoing(topic.name, parcel.parcel_id.encode(), make_line(number), headers)


def rss_mib(dock: Dock) -> float:
    return float(psutil.Process(dock.pids()["provider.0"]).memory_info().rss) / 1024**2


async def measure(dock: Dock, count: int) -> int:
    servers = dock.addresses["KAFKA_BOOTSTRAP_SERVERS"]
    topic = dispatch_topic(PROVIDER, Lane.BATCH)
    arrivals = Arrivals()
    async with open_producer(servers, client="bench") as producer:
        places = [(topic, n) for n in range(await producer.partition_count(topic))]
        async with open_reader(servers, places, client="bench") as reader:
            before = rss_mib(dock)
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(arrivals.read(reader, count))
                await put(producer, count)
                waiting = count - len(arrivals.late_ms)
                pending = rss_mib(dock)
                await asyncio.wait((reading,), timeout=DELAY_MS / 1000 + 120)
                reading.cancel()
    late = sorted(arrivals.late_ms.values())
    print(f"{count:,} put in {PUT_S:.0f} s; {waiting:,} wait when the last one is put")
    print(f"provider worker: {before:.0f} MiB before, {pending:.0f} MiB with all of them waiting")
    print(f"{len(late):,} came back, none too early: {late[0] >= 0}")
    print(
        f"late by: p50 {statistics.median(late):.0f} ms, p99 {late[int(len(late) * 0.99)]} ms, most {late[-1]} ms"
    )
    is_good = len(late) == count and late[0] >= 0 and late[-1] <= LIMIT_S * 1000
    return 0 if is_good else 1


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    asked = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_dock(Path(folder) / "data", "--latency-ms", "5") as dock,
    ):
        return asyncio.run(measure(dock, asked.count))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
