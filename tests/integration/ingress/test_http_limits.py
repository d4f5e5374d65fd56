"""What one client may send, and how slow it may be: raw bytes on a socket."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, NamedTuple

import pytest

from crossdock.ingress.http.connection import MAX_PIPELINED
from integration.ingress.fakes import API_KEY, CHAT_MODEL, Ingress, running_ingress

KIB = 1024
MIB = 1024**2
AUTH = f"authorization: Bearer {API_KEY}\r\n".encode()
GET = b"GET /healthz HTTP/1.1\r\nhost: a\r\n"
POST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n" + AUTH
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
BODY = json.dumps({"model": CHAT_MODEL, "messages": [{"role": "user", "content": "hi"}]}).encode()
SOUND = POST + b"content-length: %d\r\n\r\n" % len(BODY) + BODY


class Got(NamedTuple):
    """A response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str | None:
        error = json.loads(self.body)["error"]
        assert set(error) - {"metadata"} == {"message", "type", "param", "code"}
        assert self.headers["x-request-id"].startswith("req_")
        code: str | None = error["code"]
        return code


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *pieces: bytes) -> None:
        with suppress(ConnectionError):
            for piece in pieces:
                self.writer.write(piece)
                await self.writer.drain()

    async def read(self) -> Got:
        async with asyncio.timeout(20):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.strip().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Got(int(first.split()[1]), headers, body)

    async def ask(self, *pieces: bytes) -> Got:
        """Send all that the server takes; return its answer."""
        sending = asyncio.ensure_future(self.send(*pieces))  # noqa: TID251  # ended below
        try:
            return await self.read()
        finally:
            sending.cancel()

    async def is_closed(self, within_s: float = 10.0) -> bool:
        """Return whether the server closes within that time."""
        try:
            async with asyncio.timeout(within_s):
                while await self.reader.read(65_536):
                    pass
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        return True


@asynccontextmanager
async def connected(ingress: Ingress) -> AsyncIterator[Client]:
    host, port = ingress.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=4 * MIB)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


async def ask(ingress: Ingress, *pieces: bytes) -> Got:
    async with connected(ingress) as client:
        return await client.ask(*pieces)


def pieces(count: int, size: int = 256 * KIB) -> Iterable[bytes]:
    return (b"x" * size for _ in range(count))


BAD: dict[str, tuple[tuple[bytes, ...], int, str | None]] = {
    "one long header": ((GET, b"a: ", *pieces(80)), 431, "request_headers_too_large"),
    "one long name": ((GET, *pieces(80)), 431, "request_headers_too_large"),
    "a header just over the limit": ((GET, b"a: " + b"x" * 33 * KIB, b"\r\n\r\n"), 431, "request_headers_too_large"),
    "many small headers": ((GET, *[b"a: b\r\n" * 1000] * 1000), 431, "request_headers_too_large"),
    "101 headers": ((GET, b"a: b\r\n" * 101, b"\r\n"), 431, "request_headers_too_large"),
    "a long URL": ((b"GET /", *pieces(80)), 414, "uri_too_long"),
    "a long query": ((b"GET /v1/files?after=", b"x" * 9 * KIB, b" HTTP/1.1\r\n\r\n"), 414, "uri_too_long"),
    "a long chunk extension": ((CHUNKED, b"5;a=", *pieces(80)), 400, None),
    "a long trailer": ((CHUNKED, b"0\r\na: ", *pieces(80)), 400, None),
    "many trailers": ((CHUNKED, b"0\r\n", *[b"a: b\r\n" * 1000] * 100), 431, "request_headers_too_large"),
    "chunks of one byte": ((CHUNKED, *[b"1\r\nx\r\n" * 1000] * 100), 400, None),
    "no HTTP": ((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",), 400, None),
    "two lengths": ((POST, b"content-length: 1\r\ncontent-length: 2\r\n\r\n"), 400, None),
    "a length and chunks": ((POST, b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n"), 400, None),
    "a length that is none": ((POST, b"content-length: x\r\n\r\n"), 400, None),
    "a URL that is none": ((b"GET a%b HTTP/1.1\r\n\r\n",), 400, None),
    "another protocol": ((b"CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n",), 400, None),
    "HTTP/1.0 without a length": ((b"POST /v1/chat/completions HTTP/1.0\r\n", AUTH, b"\r\n", BODY), 400, None),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
async def test_what_is_too_much_is_refused_in_the_envelope(name: str) -> None:
    sent, status, code = BAD[name]
    async with running_ingress() as ingress:
        got = await ask(ingress, *sent)

        assert (got.status, got.code) == (status, code)
        assert (await ask(ingress, GET, b"\r\n")).status == 200


async def test_headers_and_a_url_at_the_limit_are_read() -> None:
    async with running_ingress() as ingress:
        many = await ask(ingress, GET, b"a: b\r\n" * 99, b"\r\n")
        long = await ask(ingress, GET, b"a: " + b"x" * 31 * KIB, b"\r\n\r\n")
        url = await ask(ingress, b"GET /healthz?", b"x" * 8000, b" HTTP/1.1\r\n\r\n")

        assert [many.status, long.status, url.status] == [200, 200, 200]


async def test_a_refused_client_is_not_read_for_ever() -> None:
    async with running_ingress() as ingress, connected(ingress) as client:
        await client.send(GET)
        sending = asyncio.ensure_future(client.send(b"a: ", *pieces(400)))  # noqa: TID251  # ended below

        assert (await client.read()).status == 431
        assert await client.is_closed()
        sending.cancel()


async def test_headers_that_are_not_completed_in_time_end_with_a_408() -> None:
    async with running_ingress(header_timeout_s=0.5) as ingress:
        half = await ask(ingress, GET)
        begun = await ask(ingress, b"GE")

        assert [(half.status, half.code), (begun.status, begun.code)] == [
            (408, "request_too_slow")
        ] * 2


async def test_a_header_that_trickles_is_as_late_as_one_that_stops() -> None:
    async with running_ingress(header_timeout_s=0.5) as ingress, connected(ingress) as client:
        await client.send(GET)

        async def trickle() -> None:
            while True:
                await client.send(b"a: b\r\n")
                await asyncio.sleep(0.1)

        trickling = asyncio.ensure_future(trickle())  # noqa: TID251  # ended below
        assert (await client.read()).status == 408
        trickling.cancel()


@pytest.mark.parametrize("sent", [b"", b"\r\n\r\n"])
async def test_a_connection_without_a_request_is_closed(sent: bytes) -> None:
    async with running_ingress(header_timeout_s=0.5) as ingress, connected(ingress) as client:
        await client.send(sent)

        assert await client.is_closed(4)


async def test_a_line_break_does_not_keep_a_connection_open() -> None:
    async with running_ingress(header_timeout_s=0.5) as ingress, connected(ingress) as client:
        assert (await client.ask(GET, b"\r\n")).status == 200
        await client.send(b"\r\n")

        assert await client.is_closed(4)


async def test_a_body_that_stops_ends_with_a_408() -> None:
    async with running_ingress(body_timeout_s=0.5) as ingress:
        got = await ask(ingress, POST, b"content-length: 100\r\n\r\n{")

        assert (got.status, got.code) == (408, "request_too_slow")
        assert got.headers["connection"] == "close"
        assert (ingress.dock.gate.waiting, ingress.dock.gate.held_bytes) == (0, 0)


async def test_a_body_that_trickles_ends_with_a_408() -> None:
    settings: dict[str, Any] = {"body_timeout_s": 2, "min_bytes_per_s": 1000}
    async with running_ingress(**settings) as ingress, connected(ingress) as client:
        await client.send(POST, b"content-length: 1000000\r\n\r\n")

        async def trickle() -> None:
            while True:
                await client.send(b" ")
                await asyncio.sleep(0.1)

        trickling = asyncio.ensure_future(trickle())  # noqa: TID251  # ended below
        assert (await client.read()).status == 408
        trickling.cancel()


async def test_an_upload_that_stops_leaves_nothing() -> None:
    head = b"POST /v1/files HTTP/1.1\r\ncontent-type: multipart/form-data; boundary=xyz\r\n" + AUTH
    part = b'--xyz\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
    async with running_ingress(body_timeout_s=0.5) as ingress:
        got = await ask(ingress, head, b"content-length: 5000000\r\n\r\n", part, b"x" * MIB)

        assert (got.status, got.code) == (408, "request_too_slow")
        assert ingress.dock.gate.held_bytes == 0
        assert [path async for path in ingress.dock.objects.list("files")] == []


async def test_a_body_that_is_not_wanted_is_not_read_for_ever() -> None:
    head = b"POST /v1/files HTTP/1.1\r\ncontent-length: 100000000000\r\n\r\n"
    async with running_ingress() as ingress, connected(ingress) as client:
        await client.send(head)
        assert (await client.read()).status == 401

        sending = asyncio.ensure_future(client.send(*pieces(100_000, KIB)))  # noqa: TID251  # ended below
        assert await client.is_closed(9)
        sending.cancel()


async def test_a_connection_serves_on_after_an_answer_that_came_before_its_body() -> None:
    head = b"POST /v1/files HTTP/1.1\r\ncontent-length: 1000\r\n\r\n"
    async with running_ingress() as ingress, connected(ingress) as client:
        assert (await client.ask(head, b"x" * 500)).status == 401

        assert (await client.ask(b"x" * 500, GET, b"\r\n")).status == 200


async def test_expect_100_continue_is_answered_and_a_refusal_ends_the_connection() -> None:
    expect = b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % len(BODY)
    async with running_ingress() as ingress:
        async with connected(ingress) as client:
            assert (await client.ask(POST, expect)).status == 100
            assert (await client.ask(BODY)).status == 200
        async with connected(ingress) as client:
            got = await client.ask(POST.replace(API_KEY.encode(), b"sk-wrong"), expect)
            assert (got.status, got.headers["connection"]) == (401, "close")
            assert await client.is_closed(2)


async def test_pipelined_requests_are_answered_in_their_order() -> None:
    async with running_ingress() as ingress, connected(ingress) as client:
        paths = (b"/healthz", b"/v1/nowhere", b"/healthz")
        await client.send(b"".join(b"GET %s HTTP/1.1\r\nhost: a\r\n\r\n" % path for path in paths))

        assert [(await client.read()).status for _ in paths] == [200, 404, 200]


async def test_requests_are_read_the_same_however_their_bytes_are_cut() -> None:
    """The parser gets bytes in steps of its own, and what it has not reported is counted."""
    chunked = b"".join(b"%x;ext=1\r\n%s\r\n" % (1, BODY[at : at + 1]) for at in range(len(BODY)))
    long = b"a: " + b"y" * 20_000 + b"\r\n"
    sent = b"".join(
        (SOUND, GET + long + b"\r\n", CHUNKED + chunked + b"0\r\ntrailer: 1\r\n\r\n", GET, b"\r\n")
    )
    chance = random.Random(1)
    async with running_ingress() as ingress:
        for size in (50, 1000, 16_384, 100_000):
            async with connected(ingress) as client:
                at = 0
                while at < len(sent):
                    step = chance.randint(1, size)
                    client.writer.write(sent[at : at + step])
                    await asyncio.sleep(0)
                    at += step
                answers = [await client.read() for _ in range(4)]
            assert [answer.status for answer in answers] == [200, 200, 200, 200]


async def test_garbage_ends_its_own_connection_alone() -> None:
    chance = random.Random(2)
    pieces_of_http = (
        GET,
        POST,
        CHUNKED,
        b"\r\n",
        b"0\r\n\r\n",
        b"5\r\nhello\r\n",
        b"content-length: 7\r\n",
        b"\x00\xff",
    )
    async with running_ingress(header_timeout_s=1, body_timeout_s=1) as ingress:
        async with AsyncExitStack() as stack:
            for _ in range(300):
                client = await stack.enter_async_context(connected(ingress))
                await client.send(b"".join(chance.choices(pieces_of_http, k=8)))
            assert (await ask(ingress, SOUND)).status == 200
        assert (await ask(ingress, SOUND)).status == 200
        assert (ingress.dock.gate.waiting, ingress.dock.gate.held_bytes) == (0, 0)


async def test_a_flood_of_pipelined_requests_is_cut_off() -> None:
    async with running_ingress() as ingress, connected(ingress) as client:
        await client.send((GET + b"\r\n") * 100_000)

        assert await client.is_closed()
        assert (await ask(ingress, GET, b"\r\n")).status == 200
    assert MAX_PIPELINED < 100


async def test_a_trailer_is_no_header_of_its_request() -> None:
    head = b"GET /v1/models HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    async with running_ingress() as ingress:
        got = await ask(ingress, head + b"0\r\n" + AUTH + b"\r\n")

        assert got.status == 401


async def test_the_oldest_connection_without_a_request_gives_way() -> None:
    async with running_ingress(max_connections=3) as ingress, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(ingress)) for _ in range(3)]
        for client in clients:
            await client.send(GET)
        await asyncio.sleep(0.1)

        assert (await ask(ingress, GET, b"\r\n")).status == 200
        assert (await clients[0].read()).status == 408
        assert [(await one.ask(b"\r\n")).status for one in clients[1:]] == [200, 200]


@pytest.mark.parametrize(
    ("setting", "status"), [("max_connections", 503), ("max_connections_per_address", 429)]
)
async def test_a_connection_too_many_is_refused_while_all_others_work(
    setting: str, status: int
) -> None:
    slow = POST + b"content-length: 100\r\n\r\n{"
    settings: dict[str, Any] = {setting: 2}
    async with running_ingress(**settings) as ingress:
        async with connected(ingress) as first, connected(ingress) as second:
            await first.send(slow)
            await second.send(slow)
            await asyncio.sleep(0.1)
            got = await ask(ingress, GET, b"\r\n")
            assert (got.status, got.code) == (status, "too_many_connections")
            assert got.headers["retry-after"] == "1"
        await asyncio.sleep(0.1)
        assert (await ask(ingress, GET, b"\r\n")).status == 200


async def stored_file(ingress: Ingress, size: int) -> bytes:
    file = await ingress.sdk.files.create(file=("a.jsonl", b"x" * size), purpose="user_data")
    return b"GET /v1/files/%s/content HTTP/1.1\r\n%s\r\n" % (file.id.encode(), AUTH)


async def test_a_client_that_does_not_read_its_answer_is_cut_off() -> None:
    async with running_ingress(write_timeout_s=0.5, watches_bodies=False) as ingress:
        download = await stored_file(ingress, 32 * MIB)
        async with connected(ingress) as client:
            await client.send(download)
            await asyncio.sleep(4)

            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await client.read()
        assert len((await ask(ingress, download)).body) == 32 * MIB


async def test_slow_readers_together_hold_a_bounded_number_of_bytes() -> None:
    async with running_ingress(max_unsent_bytes=2 * MIB, watches_bodies=False) as ingress:
        download = await stored_file(ingress, 32 * MIB)
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(connected(ingress)) for _ in range(3)]
            for client in clients:
                await client.send(download)
                await asyncio.sleep(0.3)

            assert await clients[0].is_closed(2)
            assert not await clients[2].is_closed(0.2)
