"""Every open connection of an ingress: their bounds all together and by address, and the check for slow clients."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from crossdock.ingress.settings import IngressSettings
from crossdock.ingress.values import errors
from crossdock.ingress.values.errors import RefusedError

CHECK_S = 1.0  # between two checks of all connections


class OpenConnection(Protocol):
    """A connection, as the registry sees it."""

    @property
    def address(self) -> str: ...

    def check(self, now: float, elapsed_s: float) -> None:
        """Judge how slow the client was in the last `elapsed_s` seconds."""

    def give_way(self) -> None:
        """Close: the connection waits for a request, and its place is needed."""

    def cut_off(self) -> None:
        """Close at once, and drop the bytes that were not sent."""


class ConnectionRegistry:
    """Admits connections. Where there is no place, the one that waits longest for a request gives way."""

    def __init__(
        self, settings: IngressSettings, *, limit: int, is_trusted: Callable[[str], bool]
    ) -> None:
        self.settings = settings
        self._limit = limit
        self._is_trusted = is_trusted
        self._all: dict[OpenConnection, None] = {}
        self._counts: Counter[str] = Counter()
        self._waiting: dict[str, dict[OpenConnection, None]] = {}
        self._stalled: dict[OpenConnection, int] = {}
        self._unsent = 0

    def __len__(self) -> int:
        return len(self._all)

    @property
    def unsent_bytes(self) -> int:
        return self._unsent

    def admit(self, new: OpenConnection) -> RefusedError | None:
        """Add `new`, which waits for its first request; return the refusal if there is no place for it."""
        address, limit = new.address, self.settings.max_connections_per_address
        is_full = self._counts[address] >= limit and not self._is_trusted(address)
        if is_full and not self._make_room(address):
            return errors.too_many_connections(limit, " from your address")
        if len(self._all) >= self._limit and not self._make_room(self._largest()):
            return errors.too_many_connections(self._limit)
        self._all[new] = None
        self._counts[address] += 1
        self.wait(new)
        return None

    def _largest(self) -> str | None:
        """Return the address with most connections, of those with a connection that waits."""
        return max(self._waiting, key=self._counts.__getitem__, default=None)

    def _make_room(self, address: str | None) -> bool:
        oldest = next(iter(self._waiting.get(address or "", ())), None)
        if oldest is None:
            return False
        self.remove(oldest)
        oldest.give_way()
        return True

    def wait(self, one: OpenConnection) -> None:
        """Note that `one` waits for a request, or for the rest of its headers."""
        if one in self._all:
            self._waiting.setdefault(one.address, {})[one] = None

    def work(self, one: OpenConnection) -> None:
        """Note that `one` has a request: it does not give way."""
        waiting = self._waiting.get(one.address)
        if waiting is not None:
            waiting.pop(one, None)
            if not waiting:
                del self._waiting[one.address]

    def remove(self, one: OpenConnection) -> None:
        if one not in self._all:
            return
        del self._all[one]
        self.work(one)
        self.flow(one)
        self._counts[one.address] -= 1
        if not self._counts[one.address]:
            del self._counts[one.address]

    def stall(self, one: OpenConnection, size: int) -> None:
        """Note that `size` bytes wait for the client of `one` to read; cut off slower readers if they are too many."""
        self.flow(one)
        if one in self._all:
            self._stalled[one] = size
            self._unsent += size
        while self._unsent > self.settings.max_unsent_bytes and len(self._stalled) > 1:
            slowest = next(iter(self._stalled))
            self.remove(slowest)
            slowest.cut_off()

    def flow(self, one: OpenConnection) -> None:
        """Note that the client of `one` reads again."""
        self._unsent -= self._stalled.pop(one, 0)

    async def check(self) -> None:
        """Check all connections each second, for ever; more often where a time limit is short."""
        settings, loop = self.settings, asyncio.get_running_loop()
        limits = (settings.header_timeout_s, settings.body_timeout_s, settings.write_timeout_s)
        every_s = min(CHECK_S, *(limit / 4 for limit in limits))
        last = loop.time()
        while True:
            await asyncio.sleep(every_s)
            now = loop.time()
            for one in tuple(self._all):
                one.check(now, now - last)
            last = now
