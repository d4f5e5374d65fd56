"""Open holds: how soon an accounts process that was killed with a million of them serves again.

Run: infra/scripts/bench open_holds [--holds 1000000] [--kills 3]

One account, so one partition: every hold is a parcel of one line that went through admission and never ended. Then
kill -9, another process at once, and the time until it admits the next parcel; its start and the group's are in it.
"""

import argparse
import asyncio
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.admission import (
    PARTITIONS,
    make_record,
    places,
    put,
    running_accounts,
    take,
)
from bench.processes import cpu_s, peak_mib
from crossdock.kernel.drivers.kafka import (
    GroupConsumer,
    Producer,
    open_producer,
    open_reader,
    provision,
)
from crossdock.kernel.provisioning.first_organization import founded_record, make_founded
from crossdock_schemas.topics import ACCOUNT_CHANGES, ADMITTED, provisioned
from support.engines import start_kafka

CHUNK = 50_000
REST_S = 2.0


async def fill(producer: Producer, reader: GroupConsumer, count: int) -> None:
    """Put parcels and see them admitted, a chunk at a time."""
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        await put(producer, start, size)
        await take(reader, size)


async def serve_again(
    servers: str, folder: Path, producer: Producer, reader: GroupConsumer, number: int
) -> float:
    """Start a process where one was killed, with a parcel waiting; return when it is admitted, in s, and kill it.

    Before it lie copies of the first and the last parcel that are held for: they must be known, and passed over.

    Raises:
        RuntimeError: if one of them is admitted.
    """
    began = time.monotonic()
    wanted = make_record(number)
    await producer.send([make_record(0), make_record(number - 1), wanted])
    async with running_accounts(servers, folder) as process:
        while not (records := await reader.poll(max_records=5000, timeout_ms=200)):
            pass
        took_s = time.monotonic() - began
        print(f"  {took_s:.2f} s, {peak_mib(process):.0f} MiB")
        await asyncio.sleep(REST_S)
        records += await reader.poll(max_records=5000, timeout_ms=200)
        process.kill()
    if len(records) != 1:
        raise RuntimeError(f"{len(records)} parcels were admitted: holds were forgotten")
    return took_s


async def main(servers: str, folder: Path, holds: int, kills: int) -> None:
    await provision(servers, provisioned((), PARTITIONS))
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores")
    async with (
        open_producer(servers, client="bench") as producer,
        open_reader(servers, places(ADMITTED.name), client="bench") as reader,
        open_reader(servers, places(ACCOUNT_CHANGES.name), client="bench.changes") as changes,
    ):
        await producer.send([founded_record(make_founded("a" * 64, "b" * 64, 1))])
        async with running_accounts(servers, folder) as process:
            await take(changes, 1)
            began, used_s = time.monotonic(), cpu_s(process)
            await fill(producer, reader, holds)
            took_s = time.monotonic() - began
            print(
                f"{holds:,} parcels of one line put and held for in {took_s:.0f} s, "
                f"{(cpu_s(process) - used_s) / holds * 1000:.3f} CPU s per 1,000; {peak_mib(process):.0f} MiB"
            )
            process.kill()
        again = [
            await serve_again(servers, folder, producer, reader, holds + number)
            for number in range(kills)
        ]
    print(f"serves again after kill -9 with {holds:,} open holds: {statistics.median(again):.2f} s")


def run(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--holds", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=3)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch, start_kafka(Path(scratch) / "kafka") as kafka:
        asyncio.run(main(kafka.bootstrap_servers, Path(scratch), asked.holds, asked.kills))


if __name__ == "__main__":
    run(sys.argv[1:])
