"""The ops port: its answers, and clients that do not read them."""

import asyncio
import json

from crossdock.kernel.process import ops_server
from crossdock.kernel.process.health import Health


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


async def test_the_status_is_answered_and_the_connection_closed() -> None:
    async with ops_server.open_ops(Health("stage", 0), 0) as port:
        answer = await ask(port, b"GET /status HTTP/1.1\r\n\r\n")

    assert json.loads(answer.partition(b"\r\n\r\n")[2])["pid"] > 0


async def test_a_head_that_is_too_large_is_not_kept() -> None:
    async with ops_server.open_ops(Health("stage", 0), 0) as port:
        answer = await ask(port, b"GET /status HTTP/1.1\r\na: " + b"x" * 20_000)

    assert answer == b""
