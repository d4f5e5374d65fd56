"""uvicorn inside our own loop: the socket, the signals and the stop are ours."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override

from crossdock.kernel.process.errors import ProcessError

KEEP_ALIVE_S = (
    75  # longer than clients keep an idle connection (httpx: 5 s), so that they close it, not we
)
BACKLOG = 2048
POLL_S = 0.05


class _Server(uvicorn.Server):
    @override
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # kernel.lifecycle has them


def bind(host: str, port: int) -> socket.socket:
    """Return a listening address.

    Raises:
        ProcessError: if it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # why: asyncio (unlike uvloop) sets TCP_NODELAY only where the protocol is named; without, an answer takes 40 ms
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise ProcessError(
            f"cannot listen on {host}:{port}: {error.strerror}; set CROSSDOCK_INGRESS_HOST and CROSSDOCK_INGRESS_PORT"
        ) from error
    return bound


async def serve(app: ASGIApp, bound: socket.socket, stop: asyncio.Event, *, drain_s: float) -> None:
    """Serve `app` until `stop` is set; then refuse new connections and give running requests `drain_s` seconds."""
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, int(drain_s)),
    )
    server = _Server(config)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve(sockets=[bound]))
        stopping = group.create_task(stop.wait())
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        server.should_exit = True
