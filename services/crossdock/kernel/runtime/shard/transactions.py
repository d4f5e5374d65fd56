"""A shard's transactions, one after the other."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from crossdock.kernel.process.record import Outgoing


class Transactions(Protocol):
    """A producer whose records become visible all together, or not at all."""

    async def commit(self, messages: Sequence[Outgoing]) -> None: ...


class Commits:
    """One transaction at a time, with a pause between two: without it they wait for each other."""

    def __init__(self, producer: Transactions, on_committed: Callable[[], None]) -> None:
        self._producer = producer
        self._on_committed = on_committed
        self._running: asyncio.Task[None] | None = None
        self._ended_at = 0.0

    async def __aenter__(self) -> "Commits":
        return self

    async def __aexit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure is None:
            await self.settle()
        elif self._running is not None:
            self._running.cancel()
            await asyncio.wait((self._running,))

    def begin(self, messages: Sequence[Outgoing]) -> None:
        """Commit `messages` when the last transaction has ended. Without messages, only its effects begin."""
        self._running = asyncio.ensure_future(self._commit(messages))  # noqa: TID251  # owned by this object

    async def _commit(self, messages: Sequence[Outgoing]) -> None:
        if messages:
            await self._producer.commit(messages)
            self._ended_at = time.monotonic()
        self._on_committed()

    async def settle(self) -> None:
        """Wait for the transaction under way, and raise its error."""
        if self._running is not None:
            running, self._running = self._running, None
            await running

    async def rest(self, pace_s: float) -> None:
        """Wait until the last transaction has ended and `pace_s` has passed since then."""
        await self.settle()
        rest_s = self._ended_at + pace_s - time.monotonic()
        if rest_s > 0:
            await asyncio.sleep(rest_s)
