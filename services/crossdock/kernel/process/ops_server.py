"""The ops port of every process, on 127.0.0.1: /metrics, /live, /ready, /status. No framework: four GETs."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from crossdock.kernel.process.health import Health

_MAX_HEAD = 8192


@asynccontextmanager
async def open_ops(health: Health, port: int, *, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Serve `health` and the metrics; give the port (a free one when `port` is 0)."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), timeout=5)
            path = head.split(b" ", 2)[1].split(b"?", 1)[0].decode("latin-1")
            status, kind, body = respond(health, path)
            writer.write(
                f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
                "connection: close\r\n\r\n".encode()
                + body
            )
            await writer.drain()
        except (
            OSError,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
            TimeoutError,
            IndexError,
        ):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, host, port, limit=_MAX_HEAD)
    async with server:
        yield server.sockets[0].getsockname()[1]


def respond(health: Health, path: str) -> tuple[str, str, bytes]:
    """Return status line, content type and body."""
    if path == "/metrics":
        return "200 OK", CONTENT_TYPE_LATEST, generate_latest()
    if path == "/live":
        return "200 OK", "text/plain", b"ok\n"
    if path == "/ready":
        body = json.dumps({"ready": health.is_ready, "reasons": health.reasons}).encode()
        return (
            ("200 OK" if health.is_ready else "503 Service Unavailable"),
            "application/json",
            body,
        )
    if path == "/status":
        return (
            "200 OK",
            "application/json",
            json.dumps(health.status() | {"pid": os.getpid()}).encode(),
        )
    return "404 Not Found", "text/plain", b"/metrics /live /ready /status\n"
