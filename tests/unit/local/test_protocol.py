"""A connection to the embedded ClickHouse sends a whole request in time, or ends."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from crossdock.local.clickhouse.protocol import BoundedProtocol
from crossdock.local.ports import free_port

pytestmark = pytest.mark.enable_socket


class Quick(BoundedProtocol):
    request_s = 0.2


async def slow(_: Request) -> Response:
    await asyncio.sleep(1)
    return PlainTextResponse("done")


@asynccontextmanager
async def served() -> AsyncIterator[int]:
    port = free_port()
    config = uvicorn.Config(
        Starlette(routes=[Route("/", slow)]), port=port, http=Quick, log_config=None, lifespan="off"
    )
    server = uvicorn.Server(config)
    async with asyncio.TaskGroup() as group:
        group.create_task(server._serve())  # without its signal handlers
        while not server.started:  # noqa: ASYNC110  # nothing reports it
            await asyncio.sleep(0.01)
        yield port
        server.should_exit = True


@pytest.mark.parametrize("sent", [b"", b"POST / HTTP/1.1\r\nhost: x\r\nx: "])
async def test_a_connection_whose_headers_are_late_is_closed(sent: bytes) -> None:
    async with served() as port:
        started = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        end = await asyncio.wait_for(reader.read(), 5)
        writer.close()

    assert end == b""
    assert 0.2 < time.monotonic() - started < 4


async def test_a_request_in_progress_is_answered() -> None:
    async with served() as port, httpx.AsyncClient() as http:
        answers = [await http.get(f"http://127.0.0.1:{port}/") for _ in range(2)]

    assert [answer.text for answer in answers] == ["done", "done"]
