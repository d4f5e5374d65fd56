"""HTTP connections that send a whole request, or end."""

from asyncio import TimerHandle, Transport

from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

REQUEST_S = 10.0


class BoundedProtocol(H11Protocol):
    """Closes a connection that has no request in progress at two looks, `request_s` apart: its headers are late."""

    request_s = REQUEST_S
    _look: TimerHandle | None = None
    _was_idle = False

    @override
    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # the base's own type
        super().connection_made(transport)
        self._look_later()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    def _look_later(self) -> None:
        self._look = self.loop.call_later(self.request_s, self._check)

    def _check(self) -> None:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        is_idle = cycle is None or cycle.response_complete
        if is_idle and self._was_idle:
            self.transport.close()
            return
        self._was_idle = is_idle
        self._look_later()
