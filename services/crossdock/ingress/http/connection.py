"""One client's connection: uvicorn's protocol, with bounds on what a client may send and on how slow it may be.

The parser keeps a header until it is complete, and uvicorn keeps all that the parser reports. So bytes are counted on
their way into the parser. A refusal is answered in OpenAI's envelope where no other answer has begun.
"""

import asyncio
from http import HTTPStatus
from typing import Any, cast

import httptools
from starlette.types import Message, Receive, Scope, Send
from typing_extensions import override
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from crossdock.ingress.http.connections import ConnectionRegistry
from crossdock.ingress.http.pace import TransferPace
from crossdock.ingress.settings import MIB
from crossdock.ingress.values import errors
from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.responses import JSON
from crossdock.kernel.process import metrics
from crossdock.kernel.process.clock import Clock
from crossdock_schemas.ids import make_request_id

HEAD_STEP = 16_384  # bytes given to the parser at once: so far a header may pass its limit unseen
BODY_STEP = 65_536
MAX_PIPELINED = 16  # requests that wait for the answer to an earlier one
LINGER_S = 2.0  # a refused client reads its answer in this time
DRAIN_S = (
    5.0  # a client whose answer came before the end of its body completes the body in this time
)
LINGER_BYTES = (
    1 * MIB
)  # of a refused client that are read and dropped; then it is not read any more
PAYLOAD_SHARE = 4  # bytes of a chunked body for each byte around its chunks


class ClientConnection(HttpToolsProtocol):
    """A connection with bounds."""

    def __init__(
        self,
        registry: ConnectionRegistry,
        clock: Clock,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._registry = registry
        self._settings = registry.settings
        self._clock = clock
        self._inner = self.app
        self.app = self._answer
        self._running = self._messages = 0
        self._in_head = self._in_body = False
        self._head_since: float | None = None
        self._head_bytes = self._head_fed = self._header_count = 0
        self._body_bytes = self._body_framing = self._moved = 0
        self._reading: TransferPace | None = None
        self._writing = self._new_pace(self._settings.write_timeout_s)
        self._unsent = self._drained = self._discarded = 0
        self._done_since: float | None = None
        self._over_since: float | None = None
        self._fault: RefusedError | None = None

    def _new_pace(self, pause_s: float) -> TransferPace:
        return TransferPace(pause_s=pause_s, least_rate=self._settings.min_bytes_per_s)

    # the registry's view

    def give_way(self) -> None:
        """See `OpenConnection.give_way`."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # a close would wait until its client reads
            return
        if self._in_head:
            self._refuse(errors.too_slow("its connection was needed for others"))
        self.transport.close()

    def cut_off(self) -> None:
        """See `OpenConnection.cut_off`."""
        self.transport.abort()

    def check(self, now: float, elapsed_s: float) -> None:
        """See `OpenConnection.check`."""
        if self._is_reading_too_slowly(elapsed_s) or self._has_lingered(now):
            self.transport.abort()
        elif self._over_since is None and not self._running and self._head_since is not None:
            if now - self._head_since > self._settings.header_timeout_s:
                self._end_head()
        elif self._in_body and self._done_since is None and not self.flow.read_paused:
            moved, self._moved = self._moved, 0
            self._reading = self._reading or self._new_pace(self._settings.body_timeout_s)
            if self._over_since is None and self._reading.wait(elapsed_s, moved):
                rule = f"{self._settings.body_timeout_s:g} s without a byte of the body, or too few bytes a second"
                self._refuse(errors.too_slow(rule))

    def _has_lingered(self, now: float) -> bool:
        """Return whether the client had its time after a refusal, or after an answer that came before its body."""
        if self._running:
            return False
        if self._over_since is not None:
            return now - self._over_since > LINGER_S
        return self._done_since is not None and now - self._done_since > DRAIN_S

    def _is_reading_too_slowly(self, elapsed_s: float) -> bool:
        size = self.transport.get_write_buffer_size()
        moved = max(0, self._unsent - size) + self._drained
        self._unsent, self._drained = size, 0
        if moved and not size:
            self._writing = self._new_pace(self._settings.write_timeout_s)
        return size > 0 and self._writing.wait(elapsed_s, moved)

    def _end_head(self) -> None:
        if self._in_head:
            self._refuse(errors.too_slow(f"{self._settings.header_timeout_s:g} s for the headers"))
        else:
            self.transport.close()  # it never sent a byte

    # the loop's callbacks

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_since = self.loop.time()
        refusal = self._registry.admit(self, self.client[0] if self.client else "")
        if refusal is not None:
            self._refuse(refusal)
            transport.close()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._registry.remove(self)
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        while data and self._over_since is None:
            step = BODY_STEP if self._in_body else HEAD_STEP
            self._feed(data[:step])
            data = data[step:]
        if not self._running and not self._in_body and self._head_since is None:
            self._head_since = (
                self.loop.time()
            )  # bytes before a request, such as line breaks, are a head, too
        if data:
            self._discarded += len(data)
            if self._discarded > LINGER_BYTES:
                self.flow.pause_reading()

    def _feed(self, data: bytes) -> None:
        message, was_head, was_body = self._messages, self._in_head, self._in_body
        payload = self._body_bytes
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return  # the request is served as any other; this server speaks nothing else
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, RefusedError) else errors.not_http())
            return
        if message != self._messages:
            return
        if was_head and self._in_head:
            self._head_fed += len(data)
            if self._head_fed > self._settings.max_header_bytes:
                self._refuse(self._headers_too_large())
        elif was_body and self._in_body:
            self._body_framing += len(data) - (self._body_bytes - payload)
            if (
                self._body_framing
                > self._settings.max_header_bytes + self._body_bytes // PAYLOAD_SHARE
            ):
                self._refuse(
                    errors.not_http("its body has more bytes around its chunks than in them")
                )

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        self._unsent = self.transport.get_write_buffer_size()
        self._registry.stall(self, self._unsent)

    @override
    def resume_writing(self) -> None:
        super().resume_writing()
        size = self.transport.get_write_buffer_size()
        self._drained += max(0, self._unsent - size)
        self._unsent = size
        self._registry.flow(self)

    # the parser's callbacks

    @override
    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            raise errors.not_http(f"more than {MAX_PIPELINED} requests wait on this connection")
        super().on_message_begin()
        self._messages += 1
        self._in_head = True
        self._head_bytes = self._head_fed = self._header_count = 0
        if self._head_since is None:
            self._head_since = self.loop.time()

    @override
    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self._settings.max_url_bytes:
            raise errors.url_too_long(self._settings.max_url_bytes)
        self._head_bytes += len(url)

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_count += 1
        self._head_bytes += len(name) + len(value)
        if self._header_count > self._settings.max_headers:
            raise errors.headers_too_large(f"{self._settings.max_headers} headers")
        if self._head_bytes > self._settings.max_header_bytes:
            raise self._headers_too_large()
        if self._in_head:  # else it is a trailer: the request has begun without it
            super().on_header(name, value)

    def _headers_too_large(self) -> RefusedError:
        return errors.headers_too_large(f"{self._settings.max_header_bytes} bytes")

    @override
    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self.expect_100_continue:  # a client that got its answer may or may not send the body
            self.cycle.keep_alive = False
        self._running += 1
        self._in_head, self._in_body = False, True
        self._head_since = self._done_since = None
        self._body_bytes = self._body_framing = self._moved = 0
        self._reading = None
        self._registry.work(self)

    @override
    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        self._moved += len(body)
        super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        self._in_body = False
        self._done_since = None
        super().on_message_complete()

    @override
    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._running -= 1
        if self._running:
            return
        now = self.loop.time()
        if self._over_since is not None:
            self._over_since = now
        elif self._in_body:
            self._done_since = now
            self.cycle.body.clear()  # arrived and not read: uvicorn keeps it until the next request
        elif self._in_head:
            self._head_since = now
        self._registry.wait(self, had_answer=True)

    # answers

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def receive_in_time() -> Message:
            message = await receive()
            if self._fault is not None and message.get("more_body"):
                raise self._fault
            return message

        await self._inner(scope, receive_in_time, send)

    def _refuse(self, refusal: RefusedError) -> None:
        """Read nothing more. The application answers a request that runs; else this does, if it may."""
        self._over_since = self.loop.time()
        if self._running:
            self._fault = refusal
            self.cycle.keep_alive = False
            self.cycle.transport = cast("asyncio.Transport", HalfClosing(self.transport))
            self.cycle.message_event.set()
        elif not self._in_body:
            metrics.HTTP_REQUESTS.labels("none", str(refusal.status)).inc()
            self.transport.write(raw_answer(refusal, make_request_id(self._clock.now_ms())))
            self.transport.write_eof()


class HalfClosing:
    """The transport of a last response: a close would reset a client that still sends, and it may miss the response."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)

    def close(self) -> None:
        """Send the end; the connection closes when the client does, or has had its time."""
        self._transport.write_eof()


def raw_answer(refusal: RefusedError, request_id: str) -> bytes:
    """Return the bytes of a whole response, after which the connection ends."""
    headers = {
        "content-type": JSON,
        "content-length": str(len(refusal.body)),
        "connection": "close",
        "x-request-id": request_id,
        **refusal.headers,
    }
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    status = f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}\r\n"
    return (status + "".join(lines) + "\r\n").encode() + refusal.body
