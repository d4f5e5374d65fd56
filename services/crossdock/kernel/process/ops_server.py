"""The ops port of every process, on 127.0.0.1: /metrics, /live, /ready, /status. No framework for four GETs."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from crossdock.kernel.process.health import Health

_MAX_HEAD = 8192
_MAX_S = 5.0  # for a request and its answer


@asynccontextmanager
async def open_ops(health: Health, port: int, *, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Serve `health` and the metrics; yield the port (a free one when `port` is 0)."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(0)  # drain() returns when all is sent
        try:
            async with asyncio.timeout(_MAX_S):
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1].split(b"?", 1)[0].decode("latin-1")
                status, kind, body = respond(health, path)
                writer.write(
                    f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
                    "connection: close\r\n\r\n".encode()
                    + body
                )
                await writer.drain()
        except TimeoutError:
            writer.transport.abort()  # a close would wait for a client that does not read
        except (OSError, EOFError, asyncio.LimitOverrunError, IndexError):
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
        status = "200 OK" if health.is_ready else "503 Service Unavailable"
        return _json(status, {"ready": health.is_ready, "reasons": health.reasons})
    if path == "/status":
        return _json("200 OK", health.status() | {"pid": os.getpid()})
    return "404 Not Found", "text/plain", b"/metrics /live /ready /status\n"


def _json(status: str, body: dict[str, Any]) -> tuple[str, str, bytes]:
    return status, "application/json", json.dumps(body).encode()
