"""The protocol on a transport in memory: what it writes, and what it tells the ledger."""

import asyncio
from collections.abc import Iterator, Mapping

import pytest
from typing_extensions import override

from crossdock.simulator.connection import MAX_BODY_BYTES, Connection
from crossdock.simulator.core.reply import Reply, chunked, plain
from crossdock.simulator.timer_wheel import Wheel

GET = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"


class MemoryTransport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.ended: str | None = None

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    @override
    def is_closing(self) -> bool:
        return self.ended is not None

    @override
    def close(self) -> None:
        self.ended = "closed"

    @override
    def abort(self) -> None:
        self.ended = "aborted"


class FakeSite:
    """Gives the replies that it was given, in turn."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[bytes, bytes, dict[bytes, bytes], bytes]] = []
        self.finished: list[tuple[Reply, bool]] = []

    def respond(
        self, method: bytes, target: bytes, headers: Mapping[bytes, bytes], body: bytes
    ) -> Reply:
        self.asked.append((method, target, dict(headers), body))
        return self.replies.pop(0)

    def flush(self) -> None:
        """Nothing waits here."""

    def finish(self, reply: Reply, *, is_sent: bool) -> None:
        self.finished.append((reply, is_sent))


def connect(*replies: Reply) -> tuple[Connection, MemoryTransport, FakeSite]:
    site, transport = FakeSite(*replies), MemoryTransport()
    connection = Connection(site, Wheel(asyncio.get_running_loop()), set())
    connection.connection_made(transport)
    return connection, transport, site


async def test_headers_that_matter_reach_the_site_in_lower_case() -> None:
    connection, _, site = connect(plain(200, b"{}"))

    connection.data_received(
        b"POST /a?b=1 HTTP/1.1\r\nX-Crossdock-Request-ID: req_1\r\nAccept: */*\r\n"
        b"Authorization: Bearer k\r\nContent-Length: 4\r\n\r\nbo"
    )
    connection.data_received(b"dy")

    assert site.asked == [
        (
            b"POST",
            b"/a?b=1",
            {b"x-crossdock-request-id": b"req_1", b"authorization": b"Bearer k"},
            b"body",
        )
    ]


async def test_a_client_that_expects_it_is_told_to_continue() -> None:
    connection, transport, _ = connect()

    connection.data_received(
        b"POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
    )

    assert transport.written == [b"HTTP/1.1 100 Continue\r\n\r\n"]


async def test_a_later_answer_waits_for_the_one_before_it() -> None:
    slow, quick = plain(200, b"slow", delay_s=0.01), plain(200, b"quick")
    connection, transport, site = connect(slow, quick)

    connection.data_received(GET + GET)
    before = list(transport.written)
    await asyncio.sleep(0.05)

    assert before == []
    assert [written[-4:] for written in transport.written] == [b"slow", b"uick"]
    assert site.finished == [(slow, True), (quick, True)]


async def test_a_client_that_is_gone_has_none_of_its_answers() -> None:
    slow, hanging = plain(200, b"", delay_s=0.01), Reply(0, b"", ending="hang")
    connection, transport, site = connect(slow, hanging)
    connection.data_received(GET + GET)

    connection.connection_lost(None)
    await asyncio.sleep(0.03)

    assert site.finished == [(slow, False), (hanging, False)]
    assert transport.written == []


async def test_a_long_answer_stops_while_the_client_cannot_take_more() -> None:
    taken: list[int] = []

    def pieces() -> Iterator[bytes]:
        for number in range(5):
            taken.append(number)
            yield b"piece"

    connection, _, site = connect(reply := chunked(pieces(), kind="text/plain"))
    connection.pause_writing()
    connection.data_received(GET)
    before = list(taken)

    connection.resume_writing()

    assert before == [0]
    assert taken == [0, 1, 2, 3, 4]
    assert site.finished == [(reply, True)]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(b"nonsense\r\n\r\n", b"400", id="no HTTP"),
        pytest.param(
            b"POST /a HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1)
            + bytes(MAX_BODY_BYTES + 1),
            b"413",
            id="a body too long",
        ),
        pytest.param(
            b"GET /a HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            b"200",
            id="an upgrade is answered as if it was none",
        ),
    ],
)
async def test_what_cannot_be_read_on_is_answered_once_and_closed(
    request_bytes: bytes, status: bytes
) -> None:
    connection, transport, _ = connect(plain(200, b""))

    connection.data_received(request_bytes)
    connection.data_received(b"more")

    assert [written[9:12] for written in transport.written] == [status]
    assert transport.ended == "closed"


async def test_a_server_that_ends_closes_the_idle_at_once_and_the_busy_when_answered() -> None:
    idle, idle_transport, _ = connect()
    busy, busy_transport, _ = connect(plain(200, b"", delay_s=0.01))
    hanging, hanging_transport, _ = connect(Reply(0, b"", ending="hang"))
    for connection in (busy, hanging):
        connection.data_received(GET)

    for connection in (idle, busy, hanging):
        connection.end()

    assert (idle_transport.ended, busy_transport.ended) == ("closed", None)
    assert hanging_transport.ended == "aborted"
    await asyncio.sleep(0.03)
    assert (len(busy_transport.written), busy_transport.ended) == (1, "closed")


async def test_the_wheel_is_never_early_and_keeps_the_order_within_a_millisecond() -> None:
    loop, fired = asyncio.get_running_loop(), list[tuple[float, Reply]]()
    wheel, replies = Wheel(loop), [plain(200, b"") for _ in range(10)]
    started = loop.time()

    for reply in replies:
        wheel.after(0.02, lambda reply: fired.append((loop.time(), reply)), reply)
    await asyncio.sleep(0.06)

    assert [id(reply) for _, reply in fired] == [id(reply) for reply in replies]
    assert all(at - started >= 0.02 for at, _ in fired)
