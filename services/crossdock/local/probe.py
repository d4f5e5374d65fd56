"""Queries ops ports: readiness and status."""

import asyncio
import json
from http import HTTPStatus
from typing import Any

from crossdock.local.process import ProcessSpec


async def get(port: int, path: str, *, timeout_s: float = 2.0) -> tuple[int, bytes]:
    """Return status and body of a GET on 127.0.0.1; status 0 without an answer in time."""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
                raw = await reader.read()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return 0, b""
    head, _, body = raw.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    return (int(words[1]) if len(words) > 1 else 0), body


async def is_ready(spec: ProcessSpec) -> bool:
    if spec.ops_port is not None:
        return (await get(spec.ops_port, "/ready"))[0] == HTTPStatus.OK
    try:
        async with asyncio.timeout(1.0):
            _, writer = await asyncio.open_connection("127.0.0.1", spec.open_port)
            writer.close()
    except (OSError, TimeoutError):
        return False
    return True


async def status_of(port: int) -> dict[str, Any]:
    """Return the status that the process on this ops port reports; empty without an answer."""
    status, body = await get(port, "/status")
    if status != HTTPStatus.OK:
        return {}
    found: dict[str, Any] = json.loads(body)
    return found
