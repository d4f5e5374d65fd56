"""Hostile clients as a process of its own: connections that are slow, idle or send without end, for as long as it runs.

Run: python -m support.slow_clients HOST PORT KEY KIND=COUNT [KIND=COUNT ...]

A connection that the server closes is opened again. It prints a line when all connections were open once.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, repeat
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAUSE_S = 1.0
PIECE = b"x" * 262_144
HEADER_BYTES = 200 * 1000 * 1000
READY = "ready"

Attack = Callable[[str], AsyncIterator[bytes]]


def _post(key: str, path: str, more: str) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n{more}\r\n\r\n".encode()
    )


async def _slowly(first: bytes, rest: Iterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    for piece in rest:
        await asyncio.sleep(PAUSE_S)
        yield piece


async def _half(key: str) -> AsyncIterator[bytes]:
    """Half of a request, and nothing more."""
    yield f"POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer {key}\r\n".encode()
    await asyncio.Event().wait()


async def _silent(_key: str) -> AsyncIterator[bytes]:
    yield b""
    await asyncio.Event().wait()


def _trickle(_key: str) -> AsyncIterator[bytes]:
    """A header, byte by byte."""
    return _slowly(b"GET /v1/models HTTP/1.1\r\na: ", repeat(b"x"))


def _body(key: str) -> AsyncIterator[bytes]:
    """A body, byte by byte."""
    head = _post(key, "/v1/chat/completions", "content-length: 1000000")
    return _slowly(head, repeat(b" "))


def _upload(key: str) -> AsyncIterator[bytes]:
    """A large upload that stops in the middle of its first 8 MB."""
    form = "content-type: multipart/form-data; boundary=x\r\ncontent-length: 500000000"
    part = b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
    return _slowly(_post(key, "/v1/files", form) + part + PIECE * 30, repeat(b""))


async def _header(_key: str) -> AsyncIterator[bytes]:
    """A header of 200 MB."""
    yield b"GET /v1/models HTTP/1.1\r\na: "
    for _ in range(HEADER_BYTES // len(PIECE)):
        yield PIECE


async def _headers(_key: str) -> AsyncIterator[bytes]:
    """Small headers, 60 MB of them."""
    yield b"GET /v1/models HTTP/1.1\r\n"
    for _ in range(1000):
        yield b"a: b\r\n" * 10_000


async def _url(_key: str) -> AsyncIterator[bytes]:
    """A URL of 60 MB."""
    yield b"GET /"
    for _ in range(230):
        yield PIECE


async def _pipeline(_key: str) -> AsyncIterator[bytes]:
    """Requests without end, whose answers are not read."""
    while True:
        yield b"GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n" * 1000


async def _chunks(key: str) -> AsyncIterator[bytes]:
    """A body in chunks of one byte."""
    yield _post(key, "/v1/chat/completions", "transfer-encoding: chunked")
    while True:
        yield b"1\r\n \r\n" * 10_000


ATTACKS: dict[str, Attack] = {
    "half": _half,
    "silent": _silent,
    "trickle": _trickle,
    "body": _body,
    "upload": _upload,
    "header": _header,
    "headers": _headers,
    "url": _url,
    "pipeline": _pipeline,
    "chunks": _chunks,
}


async def _attack(host: str, port: int, key: str, kind: str, opened: asyncio.Semaphore) -> None:
    is_first = True
    while True:
        with suppress(OSError):
            # why: nothing is read but a few bytes, so that answers stay with the server
            _, writer = await asyncio.open_connection(host, port, limit=1024)
            if is_first:
                opened.release()
                is_first = False
            try:
                async for piece in ATTACKS[kind](key):
                    writer.write(piece)
                    await writer.drain()
                await asyncio.sleep(PAUSE_S)
            finally:
                writer.transport.abort()
        await asyncio.sleep(PAUSE_S)


async def _main(host: str, port: int, key: str, counts: dict[str, int]) -> None:
    opened = asyncio.Semaphore(0)
    kinds = list(chain.from_iterable(repeat(kind, count) for kind, count in counts.items()))
    async with asyncio.TaskGroup() as group:
        for number, kind in enumerate(kinds):
            group.create_task(_attack(host, port, key, kind, opened))
            if number % 50 == 0:
                await asyncio.sleep(0.02)
        for _ in kinds:
            await opened.acquire()
        print(READY, flush=True)
        await asyncio.to_thread(sys.stdin.read)  # it ends with its test
        os._exit(0)


@contextmanager
def slow_clients(host: str, port: int, key: str, **counts: int) -> Iterator[None]:
    """Let `counts` clients of each kind attack until the context ends; entered when all are connected."""
    command = [sys.executable, "-m", "support.slow_clients", host, str(port), key]
    command += [f"{kind}={count}" for kind, count in counts.items()]
    process = subprocess.Popen(
        ["nice", "-n", "10", *command], cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == READY.encode()
        yield
    finally:
        process.kill()
        process.communicate()


def run(arguments: Sequence[str]) -> None:
    host, port, key, *wanted = arguments
    counts = {kind: int(count) for kind, _, count in (one.partition("=") for one in wanted)}
    asyncio.run(_main(host, int(port), key, counts))


if __name__ == "__main__":
    run(sys.argv[1:])
