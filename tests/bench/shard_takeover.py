"""A killed shard: how soon it serves again, and what the other partitions notice.

Run: infra/scripts/bench shard_takeover [--kills 5]

Two processes of `batches` share the partitions. A batch of one line is submitted every 50 ms; how long each takes is
held against whether its partition was the killed process's.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import openai

from crossdock.kernel.drivers.kafka import open_producer
from crossdock.kernel.process.record import partition_for
from crossdock_schemas.topics import BATCH_COMMANDS
from support.dock import Dock, chat_lines, running_dock, until

EVERY_S = 0.05
BEFORE_S = 3.0
AFTER_S = 6.0
LIMIT_S = 3.0


@dataclass
class Watched:
    """A batch of one line, and how long it took."""

    partition: int
    began: float
    took_s: float


async def measure(dock: Dock, victim: str, partitions: int) -> tuple[float, list[Watched]]:
    """Submit batches, kill `victim` in between; return when that was, and how each batch fared."""
    key, _ = dock.data.api_key()
    client = openai.AsyncOpenAI(base_url=dock.addresses["OPENAI_BASE_URL"], api_key=key)
    line = chat_lines(1)
    file = dock.client.files.create(
        file=("one.jsonl", json.dumps(line[0]).encode()), purpose="batch"
    )
    watched: list[Watched] = []

    async def one() -> None:
        began = time.monotonic()
        batch = await client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        while batch.status != "completed":
            await asyncio.sleep(0.02)
            batch = await client.batches.retrieve(batch.id)
        number = partition_for(batch.id.encode(), partitions)
        watched.append(Watched(number, began, time.monotonic() - began))

    started = time.monotonic()
    killed_at = 0.0
    async with asyncio.TaskGroup() as group:
        while time.monotonic() - started < BEFORE_S + AFTER_S:
            group.create_task(one())
            await asyncio.sleep(EVERY_S)
            if not killed_at and time.monotonic() - started > BEFORE_S:
                dock.kill(victim)
                killed_at = time.monotonic()
    await client.close()
    return killed_at, watched


def report(killed_at: float, watched: Sequence[Watched]) -> float:
    """Print what each partition's batches took; return the longest time of all."""
    by_partition: dict[int, list[Watched]] = defaultdict(list)
    for each in watched:
        by_partition[each.partition].append(each)
    longest = 0.0
    for number, batches in sorted(by_partition.items()):
        before = [w.took_s for w in batches if w.began + w.took_s < killed_at]
        after = [w.took_s for w in batches if w.began + w.took_s >= killed_at]
        longest = max(longest, *after)
        print(
            f"  partition {number}: {statistics.median(before):.2f} s a batch before (median), "
            f"{max(after):.2f} s at most after"
        )
    return longest


async def count_partitions(dock: Dock) -> int:
    async with open_producer(dock.addresses["KAFKA_BOOTSTRAP_SERVERS"], client="bench") as producer:
        return await producer.partition_count(BATCH_COMMANDS.name)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=5)
    asked = parser.parse_args(arguments)
    longest = []
    with (
        tempfile.TemporaryDirectory() as folder,
        running_dock(Path(folder) / "data", "--scale", "batches=2", "--latency-ms", "5") as dock,
    ):
        partitions = asyncio.run(count_partitions(dock))
        for number in range(asked.kills):
            until(dock.is_at_rest, timeout_s=60, what="the dock at rest")
            victim = f"batches.{number % 2}"
            killed_at, watched = asyncio.run(measure(dock, victim, partitions))
            print(f"{victim} killed, {len(watched)} batches")
            longest.append(report(killed_at, watched))
    print(f"longest of each kill: {', '.join(f'{s:.2f} s' for s in longest)}")
    return 0 if max(longest) <= LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
