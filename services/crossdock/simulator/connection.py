"""HTTP/1.1 for the simulator: a protocol on httptools, because no framework fits into 35 us a call."""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Mapping
from typing import Protocol, cast

import httptools
from typing_extensions import override

from crossdock.simulator.control import refuse
from crossdock.simulator.core.reply import Reply
from crossdock.simulator.timer_wheel import Wheel

MAX_BODY_BYTES = 67_108_864  # 64 MiB
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: closing sends RST
_WANTED = frozenset(
    {b"x-crossdock-request-id", b"x-crossdock-attempt", b"authorization", b"expect"}
)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Site(Protocol):
    """Answers a request."""

    def respond(
        self, method: bytes, target: bytes, headers: Mapping[bytes, bytes], body: bytes
    ) -> Reply: ...

    def flush(self) -> None: ...

    def finish(self, reply: Reply, *, is_sent: bool) -> None: ...


class Connection(asyncio.Protocol):
    """One client's connection; replies leave in the order of the requests, one at a time.

    `all_open` contains the open connections, so that the server can end them.
    """

    def __init__(self, site: Site, wheel: Wheel, all_open: "set[Connection]") -> None:
        self._site = site
        self._wheel = wheel
        self._all_open = all_open
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._body = b""
        self._pieces: list[bytes] = []
        self._room = MAX_BODY_BYTES
        self._current: Reply | None = None
        self._queue: deque[Reply] = deque()
        self._is_paused = False
        self._is_ending = False

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # why: uvloop's transport is not one of asyncio's classes
        self._transport = cast("asyncio.Transport", transport)
        self._all_open.add(self)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._all_open.discard(self)
        for reply in (self._current, *self._queue):
            if reply is not None:
                self._site.finish(reply, is_sent=False)
        self._current = None
        self._queue.clear()

    @override
    def pause_writing(self) -> None:
        self._is_paused = True

    @override
    def resume_writing(self) -> None:
        self._is_paused = False
        if self._current is not None and self._current.gap_s == 0 and self._current.rest:
            self._pump(self._current)

    @override
    def data_received(self, data: bytes) -> None:
        if self._is_ending:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError:
            raise  # a fault of this server: the loop reports it and closes
        except httptools.HttpParserUpgrade:
            self.end()  # later bytes are not HTTP; the request is answered
        except httptools.HttpParserError:
            self._turn_away(refuse(400, "invalid HTTP/1.1 request"))

    # callbacks of httptools

    def on_url(self, url: bytes) -> None:
        self._target = self._target + url if self._target else url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in _WANTED:
            self._headers[name] = value

    def on_headers_complete(self) -> None:
        if self._headers and b"expect" in self._headers and self._transport is not None:
            self._transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        self._room -= len(body)
        if self._room < 0:
            self._turn_away(refuse(413, f"the body is longer than {MAX_BODY_BYTES} bytes"))
        elif not self._body:
            self._body = body
        else:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        if self._is_ending:
            return
        body = self._body + b"".join(self._pieces) if self._pieces else self._body
        reply = self._site.respond(self._parser.get_method(), self._target, self._headers, body)
        if reply.ending == "keep" and not self._parser.should_keep_alive():
            reply.ending = "close"
        self._target, self._headers, self._body, self._pieces = b"", {}, b"", []
        self._room = MAX_BODY_BYTES
        self._queue.append(reply)
        if self._current is None:
            self._next()

    def _turn_away(self, reply: Reply) -> None:
        """Answer a request that cannot be read; this client is not read any more."""
        if self._is_ending:
            return
        self._is_ending = True
        reply.ending = "close"
        self._queue.append(reply)
        if self._current is None:
            self._next()

    # replies

    def _next(self) -> None:
        if not self._queue:
            self._current = None
            return
        reply = self._current = self._queue.popleft()
        if reply.delay_s > 0:
            self._wheel.after(reply.delay_s, self._send, reply)
        else:
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        transport = self._transport
        if transport is None or reply.ending == "hang":
            return
        self._site.flush()
        if reply.first:
            transport.write(reply.first)
        if reply.rest is None:
            self._end(reply)
        elif reply.gap_s > 0:
            self._wheel.after(reply.gap_s, self._pump, reply)
        else:
            self._pump(reply)

    def _pump(self, reply: Reply) -> None:
        """Write the rest, piece by piece, as fast as `gap_s` and the client allow."""
        if self._transport is None or reply.rest is None:
            return
        for piece in reply.rest:
            self._transport.write(piece)
            if reply.gap_s > 0:
                self._wheel.after(reply.gap_s, self._pump, reply)
                return
            if self._is_paused:
                return
        self._end(reply)

    def _end(self, reply: Reply) -> None:
        transport = self._transport
        if transport is None:
            return
        self._site.finish(reply, is_sent=not transport.is_closing())
        self._current = None
        if reply.ending == "reset":
            _set_linger(transport)
            transport.abort()
        elif reply.ending == "close" or (self._is_ending and not self._queue):
            transport.close()
        else:
            self._next()

    # the server's stop

    def end(self) -> None:
        """Accept no more requests; close when all requests are answered. A hanging call is aborted."""
        self._is_ending = True
        if self._transport is None:
            return
        if self._current is None:
            self._transport.close()
        elif self._current.ending == "hang":
            self._transport.abort()


def _set_linger(transport: asyncio.Transport) -> None:
    found = transport.get_extra_info("socket")
    if found is not None:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
