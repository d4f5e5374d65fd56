"""Provider workers as processes, between a real Kafka and the simulated provider."""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from crossdock.kernel.drivers.kafka import Producer, open_producer, open_reader, provision
from crossdock.kernel.process.kafka_settings import ACCESS
from crossdock.kernel.process.record import Outgoing, Record
from crossdock_schemas.calls.usage import Usage, UsageGroup
from crossdock_schemas.codec import decode_envelope, encode_headers
from crossdock_schemas.ids import (
    AccountId,
    BatchId,
    KeyId,
    ProjectId,
    feed_parcel_id,
    line_request_id,
    make_batch_id,
)
from crossdock_schemas.parcel.parcel import Lane, Parcel, join_lines
from crossdock_schemas.parcel.plan import Candidate, Plan
from crossdock_schemas.parcel.result import Result, ResultGroup
from crossdock_schemas.pricing.catalogue import Catalogue, Offer, Provider
from crossdock_schemas.pricing.prices import Prices
from crossdock_schemas.topics import DISPATCH, dispatch_topic, provisioned
from support.effort import STEADY_TIMES

PARTITIONS = 2
PRICES = Prices(input=Decimal("0.5"), output=Decimal("1.5"))
PROVIDERS = ("first", "next")
CHAT = "/v1/chat/completions"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Process:
    """A stage's process; `ops` is the address of its health."""

    stage: str
    env: dict[str, str]
    ops: int = field(default_factory=free_port)
    child: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self.child is not None
        return self.child.pid

    async def start(self) -> None:
        self.child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"crossdock.{self.stage}.main",
            env=dict(os.environ) | self.env | {"CROSSDOCK_OPS_PORT": str(self.ops)},  # noqa: TID251  # a child's
            stdout=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(120), httpx.AsyncClient() as http:
            while not await self._is_ready(http):  # noqa: ASYNC110  # another process's state
                await asyncio.sleep(0.05)

    async def _is_ready(self, http: httpx.AsyncClient) -> bool:
        try:
            return (await http.get(f"http://127.0.0.1:{self.ops}/ready")).is_success
        except httpx.TransportError:
            return False

    async def status(self) -> dict[str, Any]:
        async with httpx.AsyncClient() as http:
            found: dict[str, Any] = (await http.get(f"http://127.0.0.1:{self.ops}/status")).json()
            return found

    async def stop(self, *, limit_s: float = 25) -> int:
        """Ask it to stop in order; return its exit code."""
        assert self.child is not None
        if self.child.returncode is None:
            self.child.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.child.wait(), timeout=limit_s)

    async def kill(self) -> None:
        assert self.child is not None
        if self.child.returncode is None:
            self.child.kill()
        await self.child.wait()


@dataclass
class Plant:
    """The parts of the whole that a test uses."""

    servers: str
    folder: Path
    simulator: Process
    simulator_url: str
    producer: Producer
    workers: list[Process] = field(default_factory=list)
    batch_id: BatchId = field(default_factory=lambda: make_batch_id(time.time_ns() // 1_000_000))

    async def start_worker(self, ordinal: int = 0, **env: str) -> Process:
        settings = {
            **ACCESS.of(self.servers).variables(),
            "CROSSDOCK_OBJECTS_URL": (self.folder / "objects").as_uri(),
            "CROSSDOCK_CATALOGUE": str(self.folder / "catalogue.json"),
            "CROSSDOCK_ORDINAL": str(ordinal),
            "CROSSDOCK_LOG_LEVEL": "WARNING",
        } | STEADY_TIMES
        worker = Process("provider", settings | env)
        self.workers.append(worker)
        await worker.start()
        return worker

    async def until_shared(self, *workers: Process) -> None:
        """Return when each of `workers` owns partitions; one that stops in mid-join holds the group up."""
        for worker in workers:
            async with asyncio.timeout(120):
                while not (await worker.status())["partitions"]:  # noqa: ASYNC110  # another process's state
                    await asyncio.sleep(0.05)

    async def behave(self, provider: str, **behaviour: Any) -> None:
        await self._simulator("PUT", f"providers/{provider}", behaviour)

    async def ledger(self) -> list[dict[str, Any]]:
        response = await self._simulator("GET", "ledger")
        return [json.loads(line) for line in response.content.splitlines()]

    async def _simulator(self, method: str, path: str, body: Any = None) -> httpx.Response:
        async with httpx.AsyncClient(timeout=30) as http:
            url = f"{self.simulator_url}/_simulator/{path}"
            response = await http.request(method, url, json=body)
            return response.raise_for_status()

    async def dispatch(
        self,
        count: int,
        *,
        lane: Lane = Lane.BATCH,
        parcel_lines: int = 20,
        prompt: str = "word " * 40,
        start: int = 0,
    ) -> None:
        """Send `count` lines of the plant's batch to the first provider, the next one as fall-back."""
        numbers = range(start, start + count)
        await self.producer.send(
            [
                self._parcel(numbers[at : at + parcel_lines], lane, prompt)
                for at in range(0, count, parcel_lines)
            ]
        )

    def _parcel(self, numbers: Sequence[int], lane: Lane, prompt: str) -> Outgoing:
        now_ms = time.time_ns() // 1_000_000
        lines = [make_line(number, prompt) for number in numbers]
        parcel = Parcel(
            parcel_id=feed_parcel_id(self.batch_id, numbers[0]),
            account=AccountId("org_local"),
            project=ProjectId("proj_default"),
            key_id=KeyId("key_local"),
            lane=lane,
            operation=CHAT,
            model="gull",
            lines=tuple(numbers),
            batch_id=self.batch_id,
            created_at_ms=now_ms,
            deadline_ms=now_ms + 600_000,
            input_bytes=sum(map(len, lines)),
            plan=Plan(candidates=tuple(make_candidate(name) for name in PROVIDERS)),
        )
        headers = encode_headers(DISPATCH, "test", parcel.parcel_id, now_ms, parcel)
        topic = dispatch_topic(PROVIDERS[0], lane)
        return Outgoing(topic, parcel.parcel_id.encode(), join_lines(lines), headers)

    async def read(self, topic: str, *, lines: int, timeout_s: float = 60) -> list[Record]:
        """Return the records of `topic` once results (or usage) of that many of the batch's lines are there."""
        places = [(topic, partition) for partition in range(PARTITIONS)]
        found: list[Record] = []
        seen: set[int] = set()
        async with (
            asyncio.timeout(timeout_s),
            open_reader(self.servers, places, client="test") as reader,
        ):
            while len(seen) < lines:
                for record in await reader.poll(max_records=500, timeout_ms=100):
                    found.append(record)
                    seen.update(self._lines_in(record))
        return found

    def _lines_in(self, record: Record) -> set[int]:
        rows = self.usage_in(record) if record.topic == "usage" else self.results_in(record)
        return {row.line for row in rows}

    def results_in(self, record: Record) -> list[Result]:
        group = decode_envelope(record.headers, ResultGroup)
        return list(group.results) if group.batch_id == self.batch_id else []

    def usage_in(self, record: Record) -> list[Usage]:
        rows = UsageGroup.from_json(record.value or b"").executions
        return [row for row in rows if row.batch_id == self.batch_id]

    async def results(self, lines: int, **limits: float) -> list[Result]:
        records = await self.read("batches.results", lines=lines, **limits)
        return [result for record in records for result in self.results_in(record)]

    async def usage(self, lines: int) -> list[Usage]:
        """Return all usage there is; call it after the results were seen."""
        records = await self.read("usage", lines=lines)
        return [row for record in records for row in self.usage_in(record)]

    async def calls(self, lines: int) -> list[tuple[str, str]]:
        """Return (request, number) of every call that the simulator received for the batch."""
        ours = {line_request_id(self.batch_id, line) for line in range(lines)}
        entries = [(entry["request_id"], entry["attempt"]) for entry in await self.ledger()]
        return [entry for entry in entries if entry[0] in ours]


def booked(rows: Sequence[Usage]) -> Counter[tuple[str, str]]:
    return Counter((row.request_id, str(row.attempt * 100 + row.call)) for row in rows)


def make_line(number: int, prompt: str) -> bytes:
    body = {"model": "gull", "messages": [{"role": "user", "content": f"{number} {prompt}"}]}
    line = {"custom_id": f"line-{number}", "method": "POST", "url": CHAT, "body": body}
    return json.dumps(line).encode()


def make_candidate(name: str) -> Candidate:
    return Candidate(
        provider=name, model="gull", upstream_model="gull", prices=PRICES, reason="test"
    )


def write_catalogue(folder: Path, simulator_url: str, read_timeout_s: float) -> None:
    offers = (Offer(model="gull", prices=PRICES),)
    providers = tuple(
        Provider(
            name=name,
            base_url=f"{simulator_url}/{name}/v1",
            models=offers,
            max_in_flight=512,
            read_timeout_s=read_timeout_s,
        )
        for name in PROVIDERS
    )
    (folder / "catalogue.json").write_bytes(Catalogue(providers=providers).to_json())


@asynccontextmanager
async def running_plant(
    servers: str, folder: Path, *, latency_ms: float = 5, read_timeout_s: float = 2
) -> AsyncIterator[Plant]:
    """Run the simulator and give a plant without workers; whatever was started is gone afterwards."""
    await provision(servers, provisioned(PROVIDERS, PARTITIONS))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    write_catalogue(folder, url, read_timeout_s)
    simulator = Process(
        "simulator",
        {
            "CROSSDOCK_SIMULATOR_PORT": str(port),
            "CROSSDOCK_SIMULATOR_LATENCY_MS": str(latency_ms),
            "CROSSDOCK_LOG_LEVEL": "WARNING",
        },
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(simulator.kill)
        await simulator.start()
        producer = await stack.enter_async_context(open_producer(servers, client="test"))
        plant = Plant(servers, folder, simulator, url, producer)
        try:
            yield plant
        finally:
            for worker in plant.workers:
                await worker.kill()
