"""The ingress process itself, on a real Kafka."""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from openai import AsyncOpenAI

from crossdock.kernel.drivers.kafka import Producer, open_producer, open_reader, provision
from crossdock.kernel.drivers.kafka.consumer import GroupConsumer
from crossdock.kernel.process.kafka_settings import ACCESS
from crossdock.kernel.process.record import Outgoing
from crossdock_schemas.batches.batch import Submitted, batch_command
from crossdock_schemas.codec import decode_envelope, encode_headers
from crossdock_schemas.parcel.parcel import Lane, Parcel
from crossdock_schemas.parcel.result import Outcome, Result, ResultGroup
from crossdock_schemas.topics import BATCH_COMMANDS, REQUESTS, RESULTS, provisioned
from integration.ingress.fakes import API_KEY, CHAT_MODEL, OWNER_KEY, make_catalogue
from support.accounts import KEY_SECRET, LOCAL, found_accounts

engines = pytest.importorskip("support.engines", reason="needs the local engines")
ROOT = Path(__file__).parents[3]
PARTITIONS = 2

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with engines.start_kafka(tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka.bootstrap_servers


async def test_the_ingress_process_serves_on_a_real_kafka(servers: str, tmp_path: Path) -> None:
    await provision(servers, provisioned(("atlas",), PARTITIONS))
    async with (
        running_process(servers, tmp_path) as url,
        AsyncOpenAI(base_url=f"{url}/v1", api_key=API_KEY, max_retries=0) as sdk,
        echoing(servers),
    ):
        file = await sdk.files.create(file=("a.jsonl", b"{}\n"), purpose="batch")
        read = await sdk.files.retrieve(file.id)
        batch = await sdk.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        completion = await sdk.chat.completions.create(
            model=CHAT_MODEL, messages=[{"role": "user", "content": "Hello"}]
        )

    assert read.id == file.id
    assert completion.choices[0].message.content == "echo"
    (asked,) = [
        command
        for command in await read_commands(servers)
        if isinstance(command, Submitted) and command.batch_id == batch.id
    ]
    assert asked.input_path == f"files/{file.id}/content"


@asynccontextmanager
async def running_process(servers: str, folder: Path) -> AsyncIterator[str]:
    """Run `python -m crossdock.ingress.main` until the context ends; it must stop in order."""
    port, ops_port = free_port(), free_port()
    catalogue = folder / "catalogue.json"
    catalogue.write_bytes(make_catalogue().to_json())
    _, founding = found_accounts(OWNER_KEY, API_KEY, 1_700_000_000_000)
    async with open_producer(servers, client="accounts") as producer:
        await producer.send(founding)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "crossdock.ingress.main",
        env={
            "PYTHONPATH": f"{ROOT}/services:{ROOT}/schemas",
            **ACCESS.of(servers).variables(),
            "CROSSDOCK_OBJECTS_URL": (folder / "objects").as_uri(),
            "CROSSDOCK_CATALOGUE": str(catalogue),
            "CROSSDOCK_PARTITIONS": str(PARTITIONS),
            "CROSSDOCK_OPS_PORT": str(ops_port),
            "CROSSDOCK_INGRESS_PORT": str(port),
            "CROSSDOCK_INGRESS_KEY_SECRET": KEY_SECRET,
        },
    )
    try:
        await until_ready(f"http://127.0.0.1:{ops_port}/ready")
        yield f"http://127.0.0.1:{port}"
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), timeout=120) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until_ready(url: str) -> None:
    async with asyncio.timeout(120), httpx.AsyncClient() as http:
        while True:
            try:
                if (await http.get(url)).status_code == 200:
                    return
            except httpx.ConnectError:
                pass
            await asyncio.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def echoing(servers: str) -> AsyncIterator[None]:
    """Answer every request, in the place of router and provider."""
    places = [(REQUESTS.name, partition) for partition in range(PARTITIONS)]
    async with (
        open_reader(servers, places, client="echo") as reader,
        open_producer(servers, client="echo") as producer,
        asyncio.TaskGroup() as group,
    ):
        task = group.create_task(echo(reader, producer))
        yield
        task.cancel()


async def echo(reader: GroupConsumer, producer: Producer) -> None:
    while True:
        records = await reader.poll(max_records=100, timeout_ms=100)
        parcels = [decode_envelope(record.headers, Parcel) for record in records]
        await producer.send([make_result(parcel) for parcel in parcels])


def make_result(parcel: Parcel) -> Outgoing:
    assert parcel.request_id is not None
    result = Result(
        request_id=parcel.request_id,
        line=0,
        custom_id=parcel.request_id,
        outcome=Outcome.COMPLETED,
        status_code=200,
        model=parcel.model,
        created_at_ms=parcel.created_at_ms,
        finished_at_ms=parcel.created_at_ms,
    )
    group = ResultGroup(
        account=LOCAL.account,
        project=LOCAL.project,
        key_id=LOCAL.key_id,
        lane=Lane.REALTIME,
        operation=parcel.operation,
        results=(result,),
    )
    headers = encode_headers(RESULTS, "test", parcel.request_id, 0, group)
    body = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"echo"}}]}'
    line = b'{"id":"x","custom_id":"x","response":{"status_code":200,"request_id":"x","body":'
    value = line + body + b'},"error":null}'
    return Outgoing(RESULTS.name, parcel.request_id.encode(), value, headers)


async def read_commands(servers: str) -> list[object]:
    places = [(BATCH_COMMANDS.name, partition) for partition in range(PARTITIONS)]
    async with open_reader(servers, places, client="check") as reader:
        records = await reader.poll(max_records=100, timeout_ms=2000)
        return [batch_command.validate_json(record.value or b"") for record in records]
