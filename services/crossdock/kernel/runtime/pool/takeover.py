"""Takeover of partitions: their claims are read before their first record begins."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from crossdock.kernel.process.clock import Clock
from crossdock.kernel.runtime.pool.claims import ClaimsView
from crossdock.kernel.runtime.pool.scheduler import Place


class Committed(Protocol):
    """The positions that the group holds."""

    async def committed(self, places: Collection[Place]) -> dict[Place, tuple[int, str]]: ...
    async def beginnings(self, places: Collection[Place]) -> dict[Place, int]: ...


class ClaimsLog(Protocol):
    """The claims of some partition numbers, read from given positions."""

    async def catch_up(self, view: ClaimsView) -> dict[int, int]:
        """Read to the current ends; return them."""

    async def more(self, view: ClaimsView) -> None:
        """Read newer notes; wait a moment at most."""


OpenClaims = Callable[[Mapping[int, int]], AbstractAsyncContextManager[ClaimsLog]]


@dataclass(frozen=True, slots=True)
class TakenOver:
    """The result of a takeover: positions, claims, and the ends of the claims."""

    positions: Mapping[Place, int]
    view: ClaimsView
    ends: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Takeover:
    """One takeover. `taken` is set as soon as records may begin."""

    source: Committed
    open_claims: OpenClaims
    clock: Clock
    worker: str
    on_news: Callable[[], None]
    """Called after each read of newer claims, and at the end."""
    grace_ms: int

    async def run(self, places: frozenset[Place], taken: asyncio.Future[TakenOver]) -> None:
        """Read the claims; then follow them while other workers hold calls here."""
        committed = await self.source.committed(places)
        positions = {place: at for place, (at, _) in committed.items()}
        positions |= await self.source.beginnings(places - committed.keys())
        view = ClaimsView(self.worker, grace_ms=self.grace_ms)
        async with self.open_claims(claim_starts(places, committed)) as claims:
            ends = await claims.catch_up(view)
            for (topic, partition), at in positions.items():
                view.drop_before(topic, partition, at)
            taken.set_result(TakenOver(positions, view, ends))
            while view.has_live(self.clock.now_ms()):
                await claims.more(view)
                self.on_news()
        self.on_news()


def claim_starts(
    places: Collection[Place], committed: Mapping[Place, tuple[int, str]]
) -> dict[int, int]:
    """Return by partition number the offset from which its claims are read; 0 without a committed one."""
    starts: dict[int, int] = {}
    for place in places:
        _, noted = committed.get(place, (0, ""))
        start = int(noted) if noted.isdigit() else 0
        starts[place[1]] = min(start, starts.get(place[1], start))
    return starts
