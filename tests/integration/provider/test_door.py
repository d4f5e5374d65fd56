"""The door to providers, against a server on loopback that misbehaves."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
from pydantic import SecretStr

from crossdock.kernel.drivers.http import Transport, ask_status, open_transport
from crossdock.kernel.requests.provider_keys import BearerKey
from crossdock.provider.client import ProviderSite
from crossdock.provider.credentials.use import CallKey
from crossdock_schemas.pricing.catalogue import Provider

SMALL = gzip.compress(b'{"a":1}')
HEAD = b"HTTP/1.1 200 OK\r\n"
ANSWERS = {
    "sound": HEAD + b"content-length: 2\r\nx-request-id: a\r\n\r\n{}",
    "chunked": HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "zipped": HEAD + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(SMALL) + SMALL,
    "odd-header": HEAD + b"x-odd: \xff\r\nx-request-id: a\r\ncontent-length: 2\r\n\r\n{}",
    "moved": b"HTTP/1.1 302 Found\r\nlocation: /sound\r\ncontent-length: 0\r\n\r\n",
    "short": HEAD + b'content-length: 200\r\n\r\n{"a":1}',
    "short-chunks": HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n",
    "bad-gzip": HEAD + b"content-encoding: gzip\r\ncontent-length: 5\r\n\r\nabcde",
    "no-http": b"hello there\r\n\r\n",
    "long": HEAD + b"content-length: 2000\r\n\r\n" + b"x" * 2000,
    "long-chunks": HEAD + b"transfer-encoding: chunked\r\n\r\n7d0\r\n" + b"x" * 2000 + b"\r\n0\r\n",
    "closed": b"",
    "silent": b"",
    "silent-body": HEAD + b"content-length: 200\r\n\r\n{",
}


class Misbehaving:
    """Answers one call a connection, in the way that its path names."""

    def __init__(self) -> None:
        self.handlers: set[asyncio.Task[None]] = set()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = asyncio.current_task()
        assert handler is not None
        self.handlers.add(handler)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._answer(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        way = head.split()[1].decode().strip("/")
        body = head.lower()
        echo = HEAD + b"content-length: %d\r\n\r\n" % len(body) + body
        writer.write(ANSWERS.get(way, echo))
        await writer.drain()
        if way.startswith("silent"):
            await reader.read()  # until the client hangs up


@asynccontextmanager
async def opened() -> AsyncIterator[tuple[Transport, str]]:
    misbehaving = Misbehaving()
    server = await asyncio.start_server(misbehaving, "127.0.0.1", 0)
    door = open_transport(
        connect_timeout_s=1,
        read_timeout_s=0.3,
        call_timeout_s=1,
        max_connections=4,
        headers={"authorization": "Bearer key"},
        max_answer_bytes=1000,
    )
    try:
        yield door, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        await door.aclose()
        server.close()
        await asyncio.gather(*misbehaving.handlers)
        await server.wait_closed()


async def call(door: Transport, url: str) -> httpx.Response:
    request = httpx.Request("POST", url, headers=[("x-one", "1")], stream=httpx.ByteStream(b"{}"))
    return await door.handle_async_request(request)


@pytest.mark.parametrize(
    ("way", "body"),
    [("sound", b"{}"), ("chunked", b"{}"), ("zipped", b'{"a":1}'), ("odd-header", b"{}")],
)
async def test_a_whole_answer_is_returned_read(way: str, body: bytes) -> None:
    async with opened() as (door, url):
        response = await call(door, f"{url}/{way}")

    assert (response.status_code, response.content) == (200, body)
    assert await response.aread() == body
    if way in {"sound", "odd-header"}:
        assert response.headers["x-request-id"] == "a"


async def test_a_redirect_is_not_followed() -> None:
    async with opened() as (door, url):
        assert (await call(door, f"{url}/moved")).status_code == 302


async def test_the_key_and_the_calls_own_headers_go_up() -> None:
    async with opened() as (door, url):
        head = (await call(door, f"{url}/echo")).content

    assert b"authorization: bearer key" in head
    assert b"x-one: 1" in head
    assert b"content-length: 2" in head


@pytest.mark.parametrize(
    ("way", "error"),
    [
        pytest.param("short", httpx.RemoteProtocolError, id="shorter than declared"),
        pytest.param("short-chunks", httpx.RemoteProtocolError, id="chunks without an end"),
        pytest.param("bad-gzip", httpx.RemoteProtocolError, id="bad compression"),
        pytest.param("no-http", httpx.RemoteProtocolError, id="no HTTP"),
        pytest.param("long", httpx.RemoteProtocolError, id="longer than we take"),
        pytest.param("long-chunks", httpx.RemoteProtocolError, id="longer than we take, chunked"),
        pytest.param("closed", httpx.ReadError, id="closed before an answer"),
        pytest.param("silent", httpx.ReadTimeout, id="silent before an answer"),
        pytest.param("silent-body", httpx.ReadTimeout, id="silent in the body"),
    ],
)
async def test_a_call_that_may_have_reached_the_provider_is_no_connect_error(
    way: str, error: type[httpx.TransportError]
) -> None:
    """pyreqwest calls a reset, or silence, before the head a connect error; the books must not (it may be billed)."""
    async with opened() as (door, url):
        with pytest.raises(error):
            await call(door, f"{url}/{way}")


@pytest.mark.parametrize(
    ("url", "error"),
    [
        pytest.param("http://127.0.0.1:1/", httpx.ConnectError, id="refused"),
        pytest.param("http://nowhere.invalid/", httpx.ConnectError, id="no such name"),
        pytest.param("ftp://127.0.0.1/", httpx.UnsupportedProtocol, id="no HTTP address"),
    ],
)
async def test_a_call_that_sent_nothing_says_so(
    url: str, error: type[httpx.TransportError]
) -> None:
    async with opened() as (door, _):
        with pytest.raises(error):
            await call(door, url)


async def test_a_closed_door_sends_nothing() -> None:
    async with opened() as (door, url):
        await door.aclose()
        with pytest.raises(httpx.ConnectError):
            await call(door, f"{url}/sound")


async def test_a_cancelled_call_leaves_the_door_open() -> None:
    async with opened() as (door, url):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await call(door, f"{url}/silent")

        assert (await call(door, f"{url}/sound")).status_code == 200


async def test_an_own_key_goes_up_in_the_place_of_the_installations() -> None:
    """Both would be an accident: the one would pay for the other, or see it."""
    async with opened() as (door, url):
        provider = Provider(name="first", base_url=f"{url}/v1", models=())
        site = ProviderSite(provider, door, {})
        request = site.request(
            "/v1/echo", "tern", b"{}", "req_1", 1, key=CallKey(BearerKey(api_key="own-0123"))
        )

        answer = await door.handle_async_request(request)

    headers = answer.content.decode().splitlines()
    assert [line for line in headers if line.startswith("authorization")] == [
        "authorization: bearer own-0123"
    ]


@pytest.mark.parametrize(
    ("way", "status"), [("sound", 200), ("moved", 302), ("closed", None), ("no-http", None)]
)
async def test_the_status_of_an_answer_is_told_or_that_there_is_none(
    way: str, status: int | None
) -> None:
    async with opened() as (_, url):
        assert await ask_status(f"{url}/{way}", SecretStr("key")) == status


async def test_nobody_there_is_no_answer() -> None:
    async with opened() as (_, url):
        pass

    assert await ask_status(url, SecretStr("key")) is None
