"""Faults side by side: which class each has (call again here, elsewhere, later, give up), and when the next call comes.

A raw server answers the bytes of the scenario; the attempt, the door and the clock are the real ones.
"""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from crossdock.kernel.process.clock import SystemClock
from crossdock.provider.client import ProviderSite
from crossdock.provider.client_factory import open_site
from crossdock.provider.onward_line import OnwardLine
from crossdock.provider.usage_rows import Finished
from crossdock_schemas.calls.usage import CallOutcome
from crossdock_schemas.parcel.result import Outcome
from crossdock_schemas.pricing.catalogue import Offer, Provider
from unit.provider.builders import (
    PRICES,
    Books,
    FullChance,
    make_attempt,
    make_completion,
    make_parcel,
)

SOUND = json.dumps(make_completion()).encode()
HALF = SOUND[: len(SOUND) // 2]
BACKOFF = 0.25  # before the second call, with all the jitter there is; twice that before the third
READ_TIMEOUT_S = 1.0  # between two bytes
CALL_TIMEOUT_S = 3.0
CONNECT_TIMEOUT_S = 0.5
LATE_S = 10.0  # a shared machine may be that late
SEEN_LATE_S = 0.5  # and see the first of two calls that much later than it was made


def answer(status: str, body: bytes, *headers: str, kind: str = "application/json") -> bytes:
    lines = (
        f"HTTP/1.1 {status}",
        f"content-type: {kind}",
        f"content-length: {len(body)}",
        *headers,
    )
    return "\r\n".join((*lines, "", "")).encode() + body


def refusal(status: str, *headers: str, **error: str) -> bytes:
    return answer(status, json.dumps({"error": error}).encode(), *headers)


def cut(body: bytes) -> bytes:
    """A body that is shorter than it was declared."""
    return answer("200 OK", body + b" " * 100)[:-100]


def chunked(*pieces: bytes) -> bytes:
    """A body in chunks that ends in the middle: the last, empty chunk is missing."""
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    return head + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


@dataclass(frozen=True)
class Scenario:
    """The behaviour of a provider, and its consequence. Gaps are seconds between the starts of two calls."""

    name: str
    reply: bytes
    outcome: CallOutcome
    follows: str
    """again (here, then elsewhere), elsewhere (at once), later, given up, or done."""
    gaps: tuple[float, ...] = ()
    ending: str = "close"
    """The action after the reply: close, reset, stall or drip (the reply itself, a piece at a time)."""
    has_next: bool = True
    wait_s: float = 0.0
    """For `later`: the wait that the provider asked for."""


S, A = Scenario, CallOutcome
BACKED_OFF = (BACKOFF, 2 * BACKOFF)
STALLED = tuple(READ_TIMEOUT_S + gap for gap in BACKED_OFF)
SCENARIOS = [
    S("429 with Retry-After", refusal("429 Busy", "retry-after: 1"), A.RATE_LIMITED, "again", (1.0, 1.0)),
    S("429 with a long Retry-After", refusal("429 Busy", "retry-after: 40"), A.RATE_LIMITED, "elsewhere"),
    S("429 with a long Retry-After, no other candidate", refusal("429 Busy", "retry-after: 40"), A.RATE_LIMITED, "later",
      has_next=False, wait_s=40.0),
    S("429 without Retry-After", refusal("429 Busy"), A.RATE_LIMITED, "again", BACKED_OFF),
    S("429 quota exhausted", refusal("429 Busy", code="insufficient_quota"), A.QUOTA_EXHAUSTED, "elsewhere"),
    S("500", refusal("500 Oops"), A.SERVER_ERROR, "again", BACKED_OFF),
    S("502", answer("502 Bad Gateway", b"<html>", kind="text/html"), A.SERVER_ERROR, "again", BACKED_OFF),
    S("503", refusal("503 Away"), A.SERVER_ERROR, "again", BACKED_OFF),
    S("503 with Retry-After", refusal("503 Away", "retry-after: 1"), A.SERVER_ERROR, "again", (1.0, 1.0)),
    S("529", refusal("529 Overloaded"), A.SERVER_ERROR, "again", BACKED_OFF),
    S("400", refusal("400 Bad Request", message="no such field"), A.CLIENT_ERROR, "given up"),
    S("401", refusal("401 Unauthorized"), A.CLIENT_ERROR, "elsewhere"),
    S("connect refused", b"", A.NOT_CONNECTED, "again"),
    S("connect timeout", b"", A.NOT_CONNECTED, "again"),
    S("read stall before the first byte", b"", A.TIMEOUT, "again", STALLED, ending="stall"),
    S("read stall after the first byte", cut(HALF), A.TIMEOUT, "again", STALLED, ending="stall"),
    S("reset mid-body", cut(HALF), A.CONNECTION_LOST, "again", BACKED_OFF, ending="reset"),
    S("closed mid-body", cut(HALF), A.TRUNCATED, "again", BACKED_OFF),
    S("truncated JSON", answer("200 OK", HALF), A.TRUNCATED, "again", BACKED_OFF),
    S("truncated stream", chunked(HALF), A.TRUNCATED, "again", BACKED_OFF),
    S("dies mid-stream", chunked(HALF), A.CONNECTION_LOST, "again", BACKED_OFF, ending="reset"),
    S("longer than declared", answer("200 OK", SOUND).replace(b": %d" % len(SOUND), b": %d" % (len(SOUND) - 9)),
      A.TRUNCATED, "again", BACKED_OFF),
    S("error inside a 200", refusal("200 OK", message="overloaded"), A.SERVER_ERROR, "again", BACKED_OFF),
    S("garbage", answer("200 OK", b"\x00\x01\x02"), A.GARBAGE, "again", BACKED_OFF),
    S("wrong content type", answer("200 OK", b"<html>hello</html>", kind="text/html"), A.GARBAGE, "again", BACKED_OFF),
    S("slow drip, within the limits", answer("200 OK", SOUND), A.OK, "done", ending="drip"),
    S("sound", answer("200 OK", SOUND), A.OK, "done"),
]  # fmt: skip
DRIP_S = 0.3


@dataclass
class Upstream:
    """Does one scenario again and again, a call a connection."""

    scenario: Scenario
    began: list[float] = field(default_factory=list)
    handlers: set[asyncio.Task[None]] = field(default_factory=set)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.handlers.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            self.began.append(time.monotonic())
            await self._reply(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def _reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reply = self.scenario.reply
        if self.scenario.ending == "drip":
            size = -(-len(reply) // 6)
            for at in range(0, len(reply), size):
                writer.write(reply[at : at + size])
                await writer.drain()
                await asyncio.sleep(DRIP_S)
            return
        writer.write(reply)
        await writer.drain()
        if self.scenario.ending == "stall":
            await reader.read()  # until the client hangs up
        if self.scenario.ending == "reset":
            await asyncio.sleep(0.05)  # what was sent arrives first
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()


@asynccontextmanager
async def served(scenario: Scenario) -> AsyncIterator[tuple[Upstream, int]]:
    upstream = Upstream(scenario)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        if scenario.name == "connect refused":
            yield upstream, port  # bound, without a listener
        elif scenario.name == "connect timeout":
            with backlog_full(listener, port):
                yield upstream, port
        else:
            server = await asyncio.start_server(upstream, sock=listener)
            yield upstream, port
            server.close()
            await asyncio.gather(*upstream.handlers)


class backlog_full:  # noqa: N801  # reads as a function
    """A new connection gets no answer: Linux drops those that exceed the backlog."""

    def __init__(self, listener: socket.socket, port: int) -> None:
        listener.listen(0)
        self._waiting = [socket.socket() for _ in range(4)]
        for each in self._waiting:
            each.setblocking(False)
            with suppress(BlockingIOError):
                each.connect(("127.0.0.1", port))

    def __enter__(self) -> None:
        """Nothing more."""

    def __exit__(self, *_: object) -> None:
        for each in self._waiting:
            each.close()


@dataclass(frozen=True)
class Seen:
    """The consequence."""

    end: Finished | OnwardLine
    books: Books
    began: list[float]
    took_s: float

    @property
    def follows(self) -> str:
        if isinstance(self.end, Finished):
            return "done" if self.end.result.outcome is Outcome.COMPLETED else "given up"
        if self.end.due_ms is not None:
            return "later"
        return "again" if len(self.books.rows) > 1 else "elsewhere"

    @property
    def gaps(self) -> list[float]:
        return [after - before for before, after in zip(self.began, self.began[1:], strict=False)]


def make_site(port: int) -> ProviderSite:
    provider = Provider(
        name="first",
        base_url=f"http://127.0.0.1:{port}/v1",
        models=(Offer(model="gull", prices=PRICES),),
        connect_timeout_s=CONNECT_TIMEOUT_S,
        read_timeout_s=READ_TIMEOUT_S,
        call_timeout_s=CALL_TIMEOUT_S,
        max_calls=3,
    )
    return open_site(provider, {}, SystemClock())


async def see(scenario: Scenario) -> Seen:
    clock = SystemClock()
    async with served(scenario) as (upstream, port):
        site = make_site(port)
        parcel = make_parcel(
            providers=("first", "next") if scenario.has_next else ("first",),
            created_at_ms=clock.now_ms(),
            deadline_ms=clock.now_ms() + 300_000,
        )
        attempt, books = make_attempt(
            lambda _: None, parcel=parcel, site=site, clock=clock, chance=FullChance()
        )
        started = time.monotonic()
        end = await attempt.run()
        took_s = time.monotonic() - started
        await site.transport.aclose()
    return Seen(end, books, upstream.began, took_s)


async def test_each_fault_has_its_class_and_its_time(tell: Callable[[str], None]) -> None:
    seen = await asyncio.gather(*map(see, SCENARIOS))

    rows = [
        f"{s.name:40} {found.books.rows[0].outcome.value:16} {found.follows:10} {len(found.books.rows)} calls, "
        f"{found.took_s:4.1f} s"
        for s, found in zip(SCENARIOS, seen, strict=True)
    ]
    tell("\n    ".join(rows))
    for scenario, found in zip(SCENARIOS, seen, strict=True):
        assert found.follows == scenario.follows, scenario.name
        assert {row.outcome for row in found.books.rows} == {scenario.outcome}, scenario.name
        assert len(found.gaps) >= len(scenario.gaps), scenario.name
        for gap, least in zip(found.gaps, scenario.gaps, strict=False):
            assert least * 0.95 - SEEN_LATE_S <= gap <= least + LATE_S, (
                f"{scenario.name}: {found.gaps}"
            )
        failed = [row for row in found.books.rows if row.outcome is not A.OK]
        assert all((row.cost.total > 0) == row.outcome.may_cost for row in failed)


async def test_a_broken_answer_never_ends_as_completed() -> None:
    """Whatever the provider cut, spoiled or held back: a completed line has the provider's whole answer in it."""
    broken = [s for s in SCENARIOS if s.outcome is not A.OK]

    seen = await asyncio.gather(*map(see, broken))

    assert [s.name for s, found in zip(broken, seen, strict=True) if found.follows == "done"] == []


async def test_a_long_wait_is_spent_in_a_topic_and_ends_when_the_provider_said() -> None:
    (scenario,) = [s for s in SCENARIOS if s.follows == "later"]
    before_ms = SystemClock().now_ms()

    found = await see(scenario)

    assert isinstance(found.end, OnwardLine)
    assert found.end.due_ms is not None
    wait_s = (found.end.due_ms - before_ms) / 1000
    assert scenario.wait_s <= wait_s <= scenario.wait_s + LATE_S
    assert found.took_s < LATE_S
