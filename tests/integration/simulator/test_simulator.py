"""The simulator as a process, asked over sockets: by the stock SDK, by httpx, and by raw bytes."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

ROOT = Path(__file__).parents[3]
MESSAGES: list[Any] = [{"role": "user", "content": "hello"}]
CHAT = {"model": "gull", "messages": MESSAGES}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@dataclass
class Sim:
    """A running simulator, and ways to ask it."""

    child: asyncio.subprocess.Process
    port: int
    http: httpx.AsyncClient

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def sdk(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{self.url}/atlas/v1", api_key="sk-any", max_retries=0)

    async def behave(self, **behaviour: Any) -> None:
        answer = await self.http.put("/_simulator/providers/atlas", json=behaviour)
        assert answer.status_code == 200, answer.text

    async def chat(self, number: int = 0, **more: Any) -> httpx.Response:
        headers = {"x-crossdock-request-id": f"req_{number}", "x-crossdock-attempt": "1"}
        path = "/atlas/v1/chat/completions"
        return await self.http.post(path, json=CHAT | more, headers=headers)

    async def rows(self) -> list[dict[str, Any]]:
        answer = await self.http.get("/_simulator/ledger")
        return [json.loads(line) for line in answer.text.splitlines()]

    async def last_row(self, is_right: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the last row once `is_right` says so."""
        async with asyncio.timeout(120):
            while not is_right((await self.rows())[-1]):  # noqa: ASYNC110  # another process's state
                await asyncio.sleep(0.01)
        return (await self.rows())[-1]


@asynccontextmanager
async def running(**env: str) -> AsyncIterator[Sim]:
    port = free_port()
    settings = {
        "PYTHONPATH": f"{ROOT / 'services'}:{ROOT / 'schemas'}",
        "CROSSDOCK_SIMULATOR_PORT": str(port),
        "CROSSDOCK_SIMULATOR_LATENCY_MS": "5",
        "CROSSDOCK_LOG_LEVEL": "WARNING",
    }
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "crossdock.simulator.main", env=settings | env
    )
    base = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient(base_url=base, timeout=120) as http:
            await _until_ready(http, child)
            yield Sim(child, port, http)
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def _until_ready(http: httpx.AsyncClient, child: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(120):
        while child.returncode is None:
            try:
                await http.get("/_simulator/providers")
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                return
    raise AssertionError(f"the simulator ended with {child.returncode}")


@pytest.fixture
async def sim() -> AsyncIterator[Sim]:
    async with running() as found:
        yield found


async def test_the_stock_sdk_completes_streams_embeds_and_lists(sim: Sim) -> None:
    async with sim.sdk() as sdk:
        plain = await sdk.chat.completions.create(model="gull", messages=MESSAGES)
        stream = await sdk.chat.completions.create(
            model="gull", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        vectors = await sdk.embeddings.create(model="plover", input=["a", "b"], dimensions=8)
        models = [model.id async for model in sdk.models.list()]

    assert plain.choices[0].message.content
    assert plain.usage is not None
    assert chunks[-1].usage is not None
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert [len(entry.embedding) for entry in vectors.data] == [8, 8]
    assert models == ["gull", "plover"]


async def test_the_sdk_knows_its_errors_again(sim: Sim) -> None:
    async with sim.sdk() as sdk:
        await sim.behave(faults={"429_quota": 1.0})
        with pytest.raises(openai.RateLimitError) as caught:
            await sdk.chat.completions.create(model="gull", messages=MESSAGES)
        await sim.behave(api_keys=["sk-other"])
        with pytest.raises(openai.AuthenticationError):
            await sdk.chat.completions.create(model="gull", messages=MESSAGES)

    assert caught.value.code == "insufficient_quota"


async def test_limits_are_kept_on_the_wire(sim: Sim) -> None:
    await sim.behave(rpm=5)

    answers = await asyncio.gather(*(sim.chat(n) for n in range(8)))

    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [429] * 3
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 12


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param("reset", httpx.ReadError, id="reset before the first byte"),
        pytest.param("reset_mid_body", httpx.ReadError, id="reset in mid body"),
        pytest.param("truncated_body", httpx.RemoteProtocolError, id="closed in mid body"),
    ],
)
async def test_a_broken_connection_is_one_and_the_answer_not_whole(
    sim: Sim, fault: str, error: type[Exception]
) -> None:
    await sim.behave(faults={fault: 1.0})

    with pytest.raises(error):
        await sim.chat()

    row = await sim.last_row(lambda row: row["finished_ns"] > 0)
    assert (row["outcome"], row["is_whole"]) == (fault, False)


async def test_a_truncated_stream_is_a_protocol_error(sim: Sim) -> None:
    await sim.behave(faults={"truncated_body": 1.0})

    with pytest.raises(httpx.RemoteProtocolError):
        await sim.chat(stream=True)


async def test_a_timeout_lasts_until_the_client_hangs_up(sim: Sim) -> None:
    await sim.behave(faults={"timeout": 1.0})

    with pytest.raises(httpx.ReadTimeout):
        await sim.http.post("/atlas/v1/chat/completions", json=CHAT, timeout=0.2)

    row = await sim.last_row(lambda row: row["finished_ns"] > 0)
    assert (row["outcome"], row["is_whole"]) == ("timeout", False)
    assert row["finished_ns"] - row["started_ns"] >= 150_000_000


async def test_a_client_that_leaves_early_has_no_whole_answer(sim: Sim) -> None:
    await sim.behave(latency={"ms": 5_000})

    with pytest.raises(httpx.ReadTimeout):
        await sim.http.post("/atlas/v1/chat/completions", json=CHAT, timeout=0.1)

    row = await sim.last_row(lambda row: row["finished_ns"] > 0)
    assert (row["outcome"], row["is_whole"]) == ("ok", False)


async def test_a_slow_drip_arrives_whole(sim: Sim) -> None:
    await sim.behave(faults={"slow_drip": 1.0}, drip_s=0.05)

    answer = await sim.chat()

    assert answer.json()["choices"]
    assert (await sim.last_row(lambda row: row["finished_ns"] > 0))["is_whole"]


async def test_latency_is_kept_and_never_cut_short(sim: Sim) -> None:
    await sim.behave(latency={"ms": 80})
    await asyncio.gather(*(sim.chat(n) for n in range(20)))

    took_ms = [(row["finished_ns"] - row["started_ns"]) / 1e6 for row in await sim.rows()]

    assert min(took_ms) >= 78


async def _read_for(reader: asyncio.StreamReader, count: int) -> bytes:
    """Read until `count` answers with declared lengths are there."""
    received = b""
    async with asyncio.timeout(120):
        while received.count(b"chatcmpl-") < count:
            piece = await reader.read(65536)
            assert piece
            received += piece
    return received


def _request(number: int) -> bytes:
    body = json.dumps(CHAT).encode()
    head = (
        f"POST /atlas/v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        f"X-Crossdock-Request-Id: req_{number}\r\nX-Crossdock-Attempt: 1\r\n\r\n"
    )
    return head.encode() + body


async def test_pipelined_requests_are_answered_in_their_order(sim: Sim) -> None:
    await sim.behave(latency={"kind": "uniform", "ms": 20, "spread": 20})
    alone = [(await sim.chat(number)).json()["id"] for number in range(5)]
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)

    writer.write(b"".join(map(_request, range(5))))
    received = await _read_for(reader, 5)
    writer.close()

    places = [received.index(answer_id.encode()) for answer_id in alone]
    assert places == sorted(places)


async def test_a_request_byte_by_byte_is_a_request(sim: Sim) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)

    for byte in _request(1):
        writer.write(bytes([byte]))
        await writer.drain()
    received = await _read_for(reader, 1)
    writer.close()

    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert (await sim.rows())[0]["request_id"] == "req_1"


async def test_what_is_no_http_is_turned_away_and_the_simulator_lives_on(sim: Sim) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)

    writer.write(b"\x16\x03\x01 this is TLS, or nothing\r\n\r\n")
    received = await asyncio.wait_for(reader.read(), 5)
    writer.close()

    assert received.startswith(b"HTTP/1.1 400 ")
    assert (await sim.chat()).status_code == 200


async def test_a_client_that_does_not_want_to_stay_is_not_kept(sim: Sim) -> None:
    answer = await sim.http.get("/_simulator/ledger/summary", headers={"connection": "close"})

    assert answer.json()["calls"] == 0
    assert (await sim.chat()).status_code == 200


async def test_the_ledger_outlives_a_kill_and_holds_every_answered_call(tmp_path: Path) -> None:
    """Also with a provider of 0 ms, whose answers leave at once."""
    ledger = {
        "CROSSDOCK_SIMULATOR_LEDGER": str(tmp_path / "ledger.jsonl"),
        "CROSSDOCK_SIMULATOR_LATENCY_MS": "0",
    }
    async with running(**ledger) as sim:
        for number in range(300):
            await sim.chat(number)
        sim.child.kill()
        await sim.child.wait()

    async with running(**ledger) as sim:
        rows = await sim.rows()

    assert [row["request_id"] for row in rows] == [f"req_{n}" for n in range(300)]


async def test_on_sigterm_what_was_asked_is_answered_and_what_hangs_is_dropped(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger.jsonl"
    async with running(CROSSDOCK_SIMULATOR_LEDGER=str(path)) as sim:
        await sim.behave(latency={"ms": 400})
        hanging = {"latency": {"ms": 0}, "faults": {"timeout": 1.0}}
        await sim.http.put("/_simulator/providers/borealis", json=hanging)
        hang = sim.http.post("/borealis/v1/chat/completions", json=CHAT)

        asked = asyncio.gather(sim.chat(1), hang, return_exceptions=True)
        await _until_received(sim, 2)
        sim.child.send_signal(signal.SIGTERM)
        answer, dropped = await asked
        code = await asyncio.wait_for(sim.child.wait(), 10)

    assert code == 0
    assert isinstance(answer, httpx.Response)
    assert answer.status_code == 200
    assert isinstance(dropped, httpx.TransportError)
    assert len(path.read_bytes().splitlines()) == 4


async def _until_received(sim: Sim, calls: int) -> None:
    async with asyncio.timeout(120):
        while len(await sim.rows()) < calls:  # noqa: ASYNC110  # another process's state
            await asyncio.sleep(0.01)


async def _run(**env: str) -> tuple[int, str]:
    settings = {"PYTHONPATH": f"{ROOT / 'services'}:{ROOT / 'schemas'}", "PATH": os.defpath}
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "crossdock.simulator.main",
        env=settings | env,
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await asyncio.wait_for(child.communicate(), 15)
    return child.returncode or 0, told.decode()


async def test_a_port_that_is_taken_is_one_clear_line(sim: Sim) -> None:
    code, told = await _run(CROSSDOCK_SIMULATOR_PORT=str(sim.port))

    assert code == 1
    assert "CROSSDOCK_SIMULATOR_PORT" in told
    assert "Traceback" not in told


async def test_a_setting_that_does_not_exist_is_one_clear_line() -> None:
    code, told = await _run(CROSSDOCK_SIMULATOR_COLOUR="red")

    assert code == 1
    assert "CROSSDOCK_SIMULATOR_COLOUR" in told
    assert "Traceback" not in told
