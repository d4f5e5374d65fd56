"""Every open connection of an ingress: their bounds all together and by address, and the check for slow clients."""

import asyncio
from collections import Counter
from typing import Protocol

from crossdock.ingress.http.clients import site_of
from crossdock.ingress.settings import IngressSettings
from crossdock.ingress.values import errors
from crossdock.ingress.values.errors import RefusedError
from crossdock_schemas.accounts.networks import is_within

CHECK_S = 1.0  # between two checks of all connections


class OpenConnection(Protocol):
    """A connection, as the registry sees it."""

    def check(self, now: float, elapsed_s: float) -> None:
        """Judge how slow the client was in the last `elapsed_s` seconds."""

    def give_way(self) -> None:
        """Close: the connection waits for a request, and its place is needed."""

    def cut_off(self) -> None:
        """Close at once, and drop the bytes that were not sent."""


class ConnectionRegistry:
    """Admits connections. Where there is no place, the one that waits longest for a request gives way.

    One that had an answer gives way after those that had none: its client may be about to use it again.
    """

    def __init__(self, settings: IngressSettings, limit: int) -> None:
        self.settings = settings
        self._limit = limit
        self._sites: dict[OpenConnection, str] = {}
        """Every connection, with the address that it counts for."""
        self._counts: Counter[str] = Counter()
        self._waiting: dict[tuple[str, bool], dict[OpenConnection, None]] = {}
        """Those that wait for a request, by site and by whether they had an answer, the longest wait first."""
        self._stalled: dict[OpenConnection, int] = {}
        self._unsent = 0

    def __len__(self) -> int:
        return len(self._sites)

    @property
    def unsent_bytes(self) -> int:
        return self._unsent

    def admit(self, new: OpenConnection, address: str) -> RefusedError | None:
        """Add `new`, which waits for its first request; return the refusal if there is no place for it."""
        site, limit = site_of(address), self.settings.max_connections_per_address
        is_full = self._counts[site] >= limit
        is_proxy = is_full and is_within(address, self.settings.trusted_proxies)
        if is_full and not is_proxy and not self._make_room(site):
            return errors.too_many_connections(limit, " from your address")
        if len(self) >= self._limit and not self._make_room(self._largest()):
            return errors.too_many_connections(self._limit)
        self._sites[new] = site
        self._counts[site] += 1
        self.wait(new)
        return None

    def _largest(self) -> str | None:
        """Return the site with most connections, of those with a connection that waits."""
        sites = (site for site, _ in self._waiting)
        return max(sites, key=self._counts.__getitem__, default=None)

    def _make_room(self, site: str | None) -> bool:
        if site is None:
            return False
        waiting = self._waiting.get((site, False)) or self._waiting.get((site, True)) or {}
        oldest = next(iter(waiting), None)
        if oldest is None:
            return False
        self.remove(oldest)
        oldest.give_way()
        return True

    def wait(self, one: OpenConnection, *, had_answer: bool = False) -> None:
        """Note that `one` waits for a request, or for the rest of its headers."""
        if one in self._sites:
            self._waiting.setdefault((self._sites[one], had_answer), {})[one] = None

    def work(self, one: OpenConnection) -> None:
        """Note that `one` has a request: it does not give way."""
        for had_answer in (False, True):
            place = self._sites.get(one, ""), had_answer
            waiting = self._waiting.get(place, {})
            if one in waiting:
                del waiting[one]
                if not waiting:
                    del self._waiting[place]

    def remove(self, one: OpenConnection) -> None:
        if one not in self._sites:
            return
        self.work(one)
        self.flow(one)
        site = self._sites.pop(one)
        self._counts[site] -= 1
        if not self._counts[site]:
            del self._counts[site]

    def stall(self, one: OpenConnection, size: int) -> None:
        """Note that `size` bytes wait for the client of `one` to read; cut off slower readers if they are too many."""
        self.flow(one)
        if one in self._sites:
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
            for one in tuple(self._sites):
                one.check(now, now - last)
            last = now
