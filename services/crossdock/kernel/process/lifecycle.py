"""The life of a process: start, serve until a signal, drain, exit.

SIGTERM or SIGINT starts an orderly stop. A second signal, or an expired drain limit, exits with 1 and logs the rest.
"""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import structlog
import uvloop

from crossdock.kernel.process.errors import CrossdockError
from crossdock.kernel.process.logs import LOG_SECRETS
from crossdock.kernel.process.masking import secrets_of_environment

log: structlog.stdlib.BoundLogger = structlog.get_logger()

# why: thousands of messages live at once; with the default of 700 the collector walks over them all the time
GC_THRESHOLD = (10_000, 20, 20)


@contextmanager
def building() -> Iterator[None]:
    """Build something large that stays: the collector does not walk over it during the build, nor soon after.

    Objects that are made inside count as old at the end. Two builds must not run at once.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.unfreeze()  # into the oldest generation, all of it
        gc.enable()


Main = Callable[[Mapping[str, str]], Coroutine[Any, Any, int]]
Service = Callable[[asyncio.Event], Awaitable[None]]


def start(main: Main) -> int:
    """Run a stage's `main` with this process's environment and return its exit code."""
    gc.set_threshold(*GC_THRESHOLD)
    environ = dict(os.environ)  # noqa: TID251  # the one place; mains take a mapping
    LOG_SECRETS.add(secrets_of_environment(environ))
    try:
        return uvloop.run(main(environ))
    except CrossdockError as error:
        sys.stderr.write(LOG_SECRETS.clean(f"crossdock: {error}\n"))
        return 1
    except KeyboardInterrupt:
        return 130


async def run(service: Service, *, drain_s: float, left: Callable[[], str] = lambda: "work") -> int:
    """Run `service(stop)` until it ends or a signal stops it; return the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            log.error("process.cut_short", left=left())
            os._exit(1)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    loop.add_signal_handler(signal.SIGUSR1, print_tasks)
    return await serve(service, stop, drain_s=drain_s, left=left)


def print_tasks() -> None:
    """Print where each task waits: SIGUSR1 shows why a process does not continue."""
    for task in asyncio.all_tasks():
        task.print_stack(file=sys.stderr)
    sys.stderr.flush()


async def serve(
    service: Service,
    stop: asyncio.Event,
    *,
    drain_s: float,
    left: Callable[[], str] = lambda: "work",
) -> int:
    """Run `service(stop)`; once `stop` is set it has `drain_s` seconds to end."""
    serving = asyncio.ensure_future(service(stop))  # noqa: TID251  # awaited below, in every case
    stopping = asyncio.ensure_future(stop.wait())  # noqa: TID251  # cancelled below
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not serving.done():
        log.info("process.stopping")
        await asyncio.wait((serving,), timeout=drain_s)
    if serving.done():
        serving.result()
        log.info("process.stopped")
        return 0
    log.error("process.drain_expired", left=left(), drain_s=drain_s)
    serving.cancel()
    await asyncio.wait((serving,), timeout=1.0)
    return 1


@asynccontextmanager
async def beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run `work` while the block runs."""
    running = asyncio.ensure_future(work)  # noqa: TID251  # cancelled below
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait((running,))
