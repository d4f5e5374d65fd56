"""Admission: parcels per second through one accounts process, and what the hop adds to a single request at rest.

Run: infra/scripts/bench admission [--rounds 5] [--parcels 50000] [--singles 500] [--first 500] [--shared] [--budgets B]

One account, so one partition and one process; its organization, project and key have a budget each in two windows.
Parcels of one line with a 1 kB prompt are all on `requests` before the process reads the first one. It has a core for
itself then, broker and reader share the others; with --shared all share all. At rest, all do; a record is put and
awaited on `admitted`, and beside it on `requests` itself: the difference is the hop. What the broker runs for the first
few hundred times it interprets, so that the first ones are told apart.
"""

import argparse
import asyncio
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from decimal import Decimal
from pathlib import Path

import psutil

from bench.processes import ROOT, cpu_s, free_port, peak_mib, running
from crossdock.kernel.drivers.kafka import (
    GroupConsumer,
    Producer,
    open_producer,
    open_reader,
    provision,
)
from crossdock.kernel.process.kafka_settings import ACCESS
from crossdock.kernel.process.record import Outgoing
from crossdock.kernel.provisioning.first_organization import founded_record, make_founded
from crossdock.local.catalogue import simulated_catalogue
from crossdock_schemas.accounts.account import Role
from crossdock_schemas.accounts.control import BudgetChange, Command
from crossdock_schemas.codec import encode_headers
from crossdock_schemas.ids import OPERATOR, ChangeId
from crossdock_schemas.parcel.parcel import Lane
from crossdock_schemas.topics import (
    ACCOUNT_CHANGES,
    ACCOUNT_COMMANDS,
    ADMITTED,
    REQUESTS,
    provisioned,
)
from crossdock_schemas.windows import Window
from support.builders import make_parcel
from support.engines import RunningKafka, start_kafka

PARTITIONS = 2
GROUP = 1000
MODEL = "tern-mini"
WARM_UP = 5_000
LINE = (
    b'{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{"messages":"%s"}}'
    % (b"word " * 200)
)
GAP_S = (0.03, 0.12)  # between two requests at rest
FOUNDED = make_founded("a" * 64, "b" * 64, 1)


def make_record(number: int) -> Outgoing:
    parcel = make_parcel(
        parcel_id=f"parcel_{number:032x}",
        lane=Lane.REALTIME,
        batch_id=None,
        request_id=f"req_{number:032x}",
        input_bytes=len(LINE),
        model=MODEL,
    )
    headers = encode_headers(REQUESTS, "bench", parcel.parcel_id, parcel.created_at_ms, parcel)
    return Outgoing(REQUESTS.name, OPERATOR.encode(), LINE, headers)


async def put(producer: Producer, first: int, count: int) -> None:
    for start in range(first, first + count, GROUP):
        end = min(start + GROUP, first + count)
        await producer.send([make_record(number) for number in range(start, end)])


async def take(reader: GroupConsumer, count: int) -> tuple[float, float]:
    """Read `count` records; return when the first and when the last ones came."""
    first, found = 0.0, 0
    while found < count:
        records = await reader.poll(max_records=5000, timeout_ms=200)
        if records and not found:
            first = time.monotonic()
        found += len(records)
    return first, time.monotonic()


@asynccontextmanager
async def running_accounts(servers: str, folder: Path) -> AsyncIterator[psutil.Process]:
    ops_port = free_port()
    catalogue = folder / "catalogue.json"
    catalogue.write_bytes(simulated_catalogue(free_port()).to_json())
    env = {
        "PATH": os.environ["PATH"],  # noqa: TID251  # a child's environment
        "PYTHONPATH": f"{ROOT}/services:{ROOT}/schemas",
        **ACCESS.of(servers).variables(),
        "CROSSDOCK_OBJECTS_URL": (folder / "objects").as_uri(),
        "CROSSDOCK_CATALOGUE": str(catalogue),
        "CROSSDOCK_OPS_PORT": str(ops_port),
        "CROSSDOCK_LOG_LEVEL": "WARNING",
    }
    argv = [sys.executable, "-m", "crossdock.accounts.main"]
    async with running(argv, env, ops_port) as process:
        yield process


def places(topic: str) -> list[tuple[str, int]]:
    return [(topic, partition) for partition in range(PARTITIONS)]


def limits(kind: str) -> list[Command]:
    """Return the commands that set budgets which bind every parcel, and have room for all."""
    parcel = make_parcel()
    owner = next(k for k in FOUNDED.keys if k.role is Role.OWNER)
    scopes = () if kind == "none" else (OPERATOR, parcel.project, parcel.key_id)
    return [
        BudgetChange(
            change_id=ChangeId(f"change_{scope}_{window}"),
            account=OPERATOR,
            actor=owner.key_id,
            at_ms=1,
            scope=scope,
            window=window,
            limit_usd=Decimal(10**9),
            overshoot_usd=Decimal(10**9 if kind == "fluid" else 0),
        )
        for scope in scopes
        for window in (Window.TOTAL, Window.DAILY)
    ]


def command_record(command: Command) -> Outgoing:
    headers = encode_headers(ACCOUNT_COMMANDS, "bench", command.account, command.at_ms, None)
    return Outgoing(ACCOUNT_COMMANDS.name, OPERATOR.encode(), command.to_json(), headers)


async def prepare(producer: Producer, changes: GroupConsumer, kind: str) -> None:
    """Found the organization and set its budgets; the running process applies them."""
    commands = limits(kind)
    await producer.send([founded_record(FOUNDED)])
    await producer.send([command_record(command) for command in commands])
    await take(changes, 1 + len(commands))
    print(f"{len(commands)} {kind} budgets bind each parcel")


@contextmanager
def alone(measured: psutil.Process, others: Sequence[psutil.Process]) -> Iterator[None]:
    """Give `measured` the first core for itself, and `others` the rest."""
    first, *rest = measured.cpu_affinity()
    before = [(process, process.cpu_affinity()) for process in others]
    pin(measured, [first])
    for process in others:
        pin(process, rest or [first])
    try:
        yield
    finally:
        for process, cores in before:
            pin(process, cores)


def pin(process: psutil.Process, cores: list[int]) -> None:
    """Let all threads of `process` run on `cores`."""
    for thread in process.threads():
        with suppress(psutil.NoSuchProcess):  # it ended meanwhile
            psutil.Process(thread.id).cpu_affinity(cores)


async def burst(kafka: RunningKafka, folder: Path, asked: argparse.Namespace) -> None:
    """Print the rates at which parcels are admitted that wait already, by a process that just began."""
    servers, count, rates = kafka.bootstrap_servers, asked.parcels, []
    is_shared = asked.shared or not hasattr(psutil.Process, "cpu_affinity")  # macOS has none
    others = [] if is_shared else [psutil.Process(), psutil.Process(kafka.process.pid)]
    async with (
        open_producer(servers, client="bench") as producer,
        open_reader(servers, places(ADMITTED.name), client="bench") as reader,
    ):
        async with (
            running_accounts(servers, folder),
            open_reader(servers, places(ACCOUNT_CHANGES.name), client="bench.changes") as changes,
        ):
            await prepare(producer, changes, asked.budgets)
            await put(producer, 0, WARM_UP)
            await take(reader, WARM_UP)
        for number in range(asked.rounds):
            await put(producer, WARM_UP + number * count, count)
            async with running_accounts(servers, folder) as process:
                with alone(process, others) if others else nullcontext():
                    before_s = cpu_s(process)
                    first, last = await take(reader, count)
                    used_s, most_mib = cpu_s(process) - before_s, peak_mib(process)
            rates.append(count / (last - first))
            print(
                f"{count:,} parcels of one line: {rates[-1]:,.0f} parcels/s; "
                f"{used_s / count * 1000:.3f} CPU s per 1,000; {most_mib:.0f} MiB at most"
            )
    where = "with a core for itself" if others else "that shares all cores"
    print(f"one accounts process {where}: {statistics.median(rates):,.0f} parcels/s (median)")


def tell(took: dict[str, list[float]], what: str) -> None:
    """Print how long records took, in ms."""
    for name, values in took.items():
        tail = sorted(values)[int(len(values) * 0.99)]
        print(
            f"{what}, to {name}: p50 {statistics.median(values):.1f} ms, p99 {tail:.1f} ms ({len(values)} records)"
        )
    added = statistics.median(
        a - r for a, r in zip(took["admitted"], took["requests"], strict=True)
    )
    print(f"{what}, added by admission: p50 {added:.1f} ms")


async def at_rest(servers: str, folder: Path, first: int, count: int) -> None:
    """Print how long a record takes to `admitted`, and to `requests` alone: the `first` ones, and `count` more."""
    chance = random.Random(7)  # gaps
    took: dict[str, list[float]] = {}
    async with (
        running_accounts(servers, folder),
        open_producer(servers, client="bench") as producer,
        open_reader(servers, places(ADMITTED.name), client="bench.admitted") as admitted,
        open_reader(servers, places(REQUESTS.name), client="bench.requests") as requests,
    ):
        for reader in (admitted, requests):
            for place, end in (
                await reader.end_offsets(
                    places(ADMITTED.name if reader is admitted else REQUESTS.name)
                )
            ).items():
                await reader.seek(place, end)
        for number in range(first + count):
            began = time.monotonic()
            async with asyncio.TaskGroup() as group:
                waits = {
                    name: group.create_task(take(reader, 1))
                    for name, reader in (("requests", requests), ("admitted", admitted))
                }
                await producer.send([make_record(10_000_000 + number)])
            for name, wait in waits.items():
                took.setdefault(name, []).append((wait.result()[1] - began) * 1000)
            await asyncio.sleep(chance.uniform(*GAP_S))
    if first:
        tell({name: values[:first] for name, values in took.items()}, "the first ones")
    tell({name: values[first:] for name, values in took.items()}, "then")


async def main(kafka: RunningKafka, folder: Path, asked: argparse.Namespace) -> None:
    servers = kafka.bootstrap_servers
    await provision(servers, provisioned((), PARTITIONS))
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores")
    await burst(kafka, folder, asked)
    await at_rest(servers, folder, asked.first, asked.singles)


def run(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--parcels", type=int, default=50_000)
    parser.add_argument("--shared", action="store_true", help="all processes share all cores")
    parser.add_argument("--singles", type=int, default=500)
    parser.add_argument("--first", type=int, default=500)
    parser.add_argument("--budgets", choices=("strict", "fluid", "none"), default="strict")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch, start_kafka(Path(scratch) / "kafka") as kafka:
        asyncio.run(main(kafka, Path(scratch), asked))


if __name__ == "__main__":
    run(sys.argv[1:])
