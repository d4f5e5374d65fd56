"""uvicorn inside our own loop: the socket, the signals and the stop are ours."""

import asyncio
import math
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override

from crossdock.ingress.http.connection import ClientConnection
from crossdock.ingress.http.connections import ConnectionRegistry
from crossdock.ingress.settings import IngressSettings
from crossdock.kernel.process.clock import Clock
from crossdock.kernel.process.errors import ProcessError

BACKLOG = 2048
OTHER_FILES = 256  # open files beside connections of clients: Kafka, the object store, logs


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


def raise_open_files(wanted: int) -> int:
    """Let this process open `wanted` files, or as many as the system allows; return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    allowed = wanted if hard == unlimited else min(wanted, hard)
    if soft == unlimited or soft >= allowed:
        return max(soft, allowed)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    except (OSError, ValueError):  # macOS has a lower limit that it does not show here
        return soft
    return allowed


def make_registry(settings: IngressSettings) -> ConnectionRegistry:
    """Return a registry for as many connections as `settings` and the system allow."""
    files = raise_open_files(settings.max_connections + OTHER_FILES)
    return ConnectionRegistry(settings, min(settings.max_connections, max(1, files - OTHER_FILES)))


async def serve(
    app: ASGIApp,
    bound: socket.socket,
    stop: asyncio.Event,
    registry: ConnectionRegistry,
    clock: Clock,
    *,
    drain_s: float,
) -> None:
    """Serve `app` until `stop` is set; then refuse new connections and give running requests `drain_s` seconds."""
    config = uvicorn.Config(
        app,
        http=partial(ClientConnection, registry, clock),  # type: ignore[arg-type]  # it is called as the class is
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=math.ceil(registry.settings.keep_alive_s),
        timeout_graceful_shutdown=max(1, int(drain_s)),
    )
    server = _Server(config)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve(sockets=[bound]))
        checking = group.create_task(registry.check())
        stopping = group.create_task(stop.wait())
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        server.should_exit = True
        await serving
        checking.cancel()
