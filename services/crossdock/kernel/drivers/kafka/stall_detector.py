"""Detects a consumer that makes no progress although it is behind, and a broker that does not answer.

aiokafka's consumers may stop fetching after a broker restart without an error (aiokafka #1154). Such a process must end
and start again: this is a liveness check by progress. While Kafka answers no connection at all, a restart would not
help: running calls continue, and new work waits.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Protocol

from crossdock.kernel.drivers.kafka.broker_health import BROKER, BrokerWatch
from crossdock.kernel.process.errors import LogError

Place = tuple[str, int]
PATIENCE_S = 15.0  # without a record before the ends are asked for
ASK_LIMIT_S = 20.0


class WatchedConsumer(Protocol):
    """The part of a consumer that the watch uses."""

    def active(self) -> frozenset[Place]: ...
    async def position(self, place: Place) -> int: ...
    async def end_offsets(self, places: Collection[Place]) -> dict[Place, int]: ...


class StallWatch:
    """Checks progress: call `saw` after every poll. `is_up` asks Kafka over a connection of its own."""

    def __init__(
        self,
        reader: WatchedConsumer,
        is_up: Callable[[], Awaitable[bool]],
        *,
        patience_s: float = PATIENCE_S,
        ask_limit_s: float = ASK_LIMIT_S,
        broker: BrokerWatch = BROKER,
    ) -> None:
        self._reader = reader
        self._is_up = is_up
        self._patience_s = patience_s
        self._ask_limit_s = ask_limit_s
        self._since = time.monotonic()
        self._behind: dict[Place, int] = {}
        self._broker = broker

    async def saw(self, count: int) -> None:
        """Register a poll that returned `count` records.

        Raises:
            LogError: if a partition was behind at two checks and returned nothing in between; or if Kafka answers new
                connections but not this consumer.
        """
        now = time.monotonic()
        if count:
            self._since = now
            self._behind = {}
            self._broker.answered(self)
            return
        if now - self._since < self._patience_s:
            return
        behind = await self._ask()
        self._since = time.monotonic()
        stuck = [place for place, at in behind.items() if self._behind.get(place) == at]
        if stuck:
            raise LogError(
                f"no progress on {stuck[0][0]}[{stuck[0][1]}] at {behind[stuck[0]]}: restarting"
            )
        self._behind = behind

    def close(self) -> None:
        """The consumer reads no more."""
        self._broker.forget(self)

    async def _ask(self) -> dict[Place, int]:
        """Return the places that are behind, with their positions; empty while Kafka is away."""
        for _ in range(2):  # twice: Kafka may have come back during the first time
            try:
                async with asyncio.timeout(self._ask_limit_s):
                    behind = await self._places_behind()
            except (TimeoutError, LogError):
                if not await self._is_up():
                    self._broker.went_silent(self)
                    return {}
            else:
                self._broker.answered(self)
                return behind
        raise LogError("Kafka answers new connections but not this consumer: restarting")

    async def _places_behind(self) -> dict[Place, int]:
        places = self._reader.active()
        ends = await self._reader.end_offsets(places) if places else {}
        behind = {}
        for place, end in ends.items():
            position = await self._reader.position(place)
            if position < end:
                behind[place] = position
        return behind
