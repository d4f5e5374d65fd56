"""Waiting for a record that a tail will show: one's own writes, and those of another ingress."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from crossdock_schemas.ids import time_of

T = TypeVar("T")

RECENT_MS = 60_000
DAY_MS = 86_400_000


class Arrivals:
    """Wakes the callers that wait for a key when a record of it arrives."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}

    def came(self, key: str) -> None:
        for future in self._waiting.pop(key, ()):
            if not future.done():
                future.set_result(None)

    async def until(self, key: str, look: Callable[[], T | None], *, timeout_s: float) -> T | None:
        """Return the result of `look`, called again for each record of `key`; None after `timeout_s`."""
        found = look()
        if found is not None:
            return found
        try:
            async with asyncio.timeout(timeout_s):
                while found is None:
                    await self._next(key)
                    found = look()
        except TimeoutError:
            return look()
        return found

    async def _next(self, key: str) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(future)
        try:
            await future
        finally:
            self._forget(key, future)

    def _forget(self, key: str, future: asyncio.Future[None]) -> None:
        others = self._waiting.get(key)
        if others is not None and future in others:
            others.remove(future)
            if not others:
                del self._waiting[key]


def is_recent(identifier: str, now_ms: int) -> bool:
    """Return whether an id may be so new that no tail has shown it yet.

    The id that an `Idempotency-Key` makes contains the day only, so it counts as recent for two days.
    """
    made_at_ms = time_of(identifier)
    if made_at_ms is None:
        return False
    if made_at_ms % DAY_MS == 0:
        return 0 <= now_ms - made_at_ms < 2 * DAY_MS
    return abs(now_ms - made_at_ms) < RECENT_MS
