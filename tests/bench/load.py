"""A closed-loop HTTP load of few microseconds a call: so many connections, each with one call in flight.

The client shares the cores with what it measures, so it is a protocol by hand: it splits answers by their declared
length (or chunks), looks at the status, and reads no body.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

from typing_extensions import override

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


@dataclass(frozen=True)
class Target:
    """Where the calls go. `headers` are complete lines, each ended by CRLF."""

    url: str
    headers: str = ""

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return parts.hostname or "127.0.0.1", parts.port or 80

    def request(self, number: int, body: bytes) -> bytes:
        """Return the bytes of one POST; the number makes its request id."""
        parts = urlsplit(self.url)
        head = (
            f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\n{self.headers}"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
            f"x-crossdock-request-id: req_{number:032x}\r\nx-crossdock-attempt: 1\r\n\r\n"
        )
        return head.encode() + body


@dataclass
class Load:
    """What is asked for, and what came of it."""

    requests: Iterator[bytes]
    statuses: Counter[int] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    took_s: float = 0.0
    open_lanes: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def rate(self) -> float:
        return len(self.latencies_s) / self.took_s

    @property
    def failures(self) -> int:
        return sum(count for status, count in self.statuses.items() if status != 200)

    def percentile_ms(self, share: float) -> float:
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000


class Lane(asyncio.Protocol):
    """One connection; sends the next request when the last is answered, and closes when there is none."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._started = 0.0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._load.open_lanes += 1
        self._next()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._started:
            self._load.statuses[0] += 1
        self._load.open_lanes -= 1
        if self._load.open_lanes == 0:
            self._load.done.set()

    @override
    def data_received(self, data: bytes) -> None:
        self._buffer = data if not self._buffer else self._buffer + data
        end = _end_of_answer(self._buffer)
        if end is None:
            return
        self._load.statuses[int(self._buffer[9:12])] += 1
        self._load.latencies_s.append(time.monotonic() - self._started)
        self._buffer = self._buffer[end:]
        self._next()

    def _next(self) -> None:
        assert self._transport is not None
        request = next(self._load.requests, None)
        if request is None:
            self._started = 0.0
            self._transport.close()
            return
        self._started = time.monotonic()
        self._transport.write(request)


def _end_of_answer(buffer: bytes) -> int | None:
    head = buffer.find(b"\r\n\r\n")
    if head < 0:
        return None
    found = _LENGTH.search(buffer, 0, head)
    if found is not None:
        end = head + 4 + int(found[1])
        return end if len(buffer) >= end else None
    last = buffer.find(_LAST_CHUNK, head + 2)
    return last + len(_LAST_CHUNK) if last >= 0 else None


async def drive(
    target: Target, body: bytes, *, calls: int, lanes: int, start: int = 0, timeout_s: float = 120
) -> Load:
    """Send `calls` requests over `lanes` connections; return when all are answered.

    Raises:
        TimeoutError: if that takes longer than `timeout_s`.
    """
    load = Load(iter([target.request(start + n, body) for n in range(calls)]))
    loop = asyncio.get_running_loop()
    began = time.monotonic()
    async with asyncio.timeout(timeout_s):
        for _ in range(min(lanes, calls)):
            await loop.create_connection(lambda: Lane(load), *target.address)
        await load.done.wait()
    load.took_s = time.monotonic() - began
    return load


def chat_body(model: str, prompt_bytes: int = 1000) -> bytes:
    """Return a completion request with a prompt of about `prompt_bytes`."""
    prompt = ("word " * (prompt_bytes // 5 + 1))[:prompt_bytes]
    text = f'{{"model":"{model}","messages":[{{"role":"user","content":"{prompt}"}}]}}'
    return text.encode()
