"""Threads for work that owners could make slow on purpose, such as their patterns: each owner has one at a time.

The event loop never does the work, and the work of one owner waits for its own, not for that of others.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from crossdock.kernel.process.errors import CrossdockError

THREADS = 4
MAX_WAITING = 64  # pieces of work of one owner; None: as many as there are
T = TypeVar("T")


class OwnerBusyError(CrossdockError):
    """Too much work of this owner waits already."""

    code = "owner_busy"
    retryable = True

    def __init__(self, owner: str) -> None:
        super().__init__(f"too much work of {owner!r} waits for a thread: try again in a second")


class FairThreads:
    """Invariant: an owner never has more than one thread."""

    def __init__(self, threads: int = THREADS, *, max_waiting: int | None = MAX_WAITING) -> None:
        self._pool = ThreadPoolExecutor(threads, "fair")
        self._max_waiting = max_waiting
        self._waiting: Counter[str] = Counter()
        self._turns: dict[str, asyncio.Lock] = {}

    async def run(self, owner: str, work: Callable[[], T]) -> T:
        """Run `work` in a thread, after the earlier work of its owner.

        Raises:
            OwnerBusyError: if too much of it waits.
        """
        if self._max_waiting is not None and self._waiting[owner] >= self._max_waiting:
            raise OwnerBusyError(owner)
        self._waiting[owner] += 1
        try:
            async with self._turns.setdefault(owner, asyncio.Lock()):
                return await self._finished(work)
        finally:
            self._waiting[owner] -= 1
            if not self._waiting[owner]:
                del self._waiting[owner], self._turns[owner]

    async def _finished(self, work: Callable[[], T]) -> T:
        """Return the result of `work`; a caller that is cancelled keeps its turn until the thread is free."""
        running = asyncio.get_running_loop().run_in_executor(self._pool, work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait((running,))
            raise

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
