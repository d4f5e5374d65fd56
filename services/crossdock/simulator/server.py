"""The listening socket, and its orderly stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from crossdock.kernel.process.errors import ProcessError
from crossdock.simulator.connection import Connection, Site
from crossdock.simulator.timer_wheel import Wheel

_BACKLOG = 4096
_DRAIN_POLL_S = 0.02


class Server:
    """Listens until it is drained."""

    def __init__(self, listener: asyncio.Server, all_open: set[Connection]) -> None:
        self._listener = listener
        self._all_open = all_open

    @property
    def port(self) -> int:
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    @property
    def connections(self) -> int:
        return len(self._all_open)

    async def drain(self) -> None:
        """Stop listening; return when all running calls are answered and all connections are closed."""
        self._listener.close()
        while self._all_open:
            for connection in tuple(self._all_open):
                connection.end()
            await asyncio.sleep(_DRAIN_POLL_S)


@asynccontextmanager
async def open_server(site: Site, host: str, port: int) -> AsyncIterator[Server]:
    """Listen on `host` and `port` (0: a free one).

    Raises:
        ProcessError: if the address is not available.
    """
    loop = asyncio.get_running_loop()
    wheel, all_open = Wheel(loop), set[Connection]()
    try:
        listener = await loop.create_server(
            lambda: Connection(site, wheel, all_open), host, port, backlog=_BACKLOG
        )
    except OSError as error:
        raise ProcessError(
            f"cannot listen on {host}:{port} ({error.strerror or error}): "
            "set CROSSDOCK_SIMULATOR_PORT or CROSSDOCK_SIMULATOR_HOST to another"
        ) from error
    try:
        yield Server(listener, all_open)
    finally:
        listener.close()
