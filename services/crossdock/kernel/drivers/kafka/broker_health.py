"""What the broker owes this process: calls that wait for its answer, and consumers that got none.

Most calls to a broker that is away simply wait until it is back, which is right; but somebody must be able to say so.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger()

LATE_S = (
    10.0  # an answer is late then; the slowest ones at rest (a fetch without records) take 0.5 s
)


class BrokerWatch:
    """Counts from when answers are owed."""

    def __init__(self) -> None:
        self._since: dict[object, float] = {}
        self._silent: set[object] = set()

    @contextmanager
    def owing(self) -> Iterator[None]:
        """While it is open, the broker owes an answer."""
        call = object()
        self._since[call] = time.monotonic()
        try:
            yield
        finally:
            del self._since[call]

    def went_silent(self, reader: object) -> None:
        """Nobody answers the questions of `reader`, nor a new connection."""
        if reader not in self._silent:
            self._silent.add(reader)
            log.error("broker.away", remedy="what runs goes on; what waits waits until it is back")

    def answered(self, reader: object) -> None:
        if reader in self._silent:
            self._silent.remove(reader)
            log.info("broker.back")

    def forget(self, reader: object) -> None:
        """`reader` asks no more."""
        self._silent.discard(reader)

    def why_not(self) -> str | None:
        """Return why this process cannot go on, if the broker is the reason."""
        late_s = time.monotonic() - min(self._since.values(), default=float("inf"))
        if late_s > LATE_S:
            return f"the broker owes an answer for {late_s:.0f} s"
        return "no broker answers" if self._silent else None


BROKER = BrokerWatch()
"""This process's."""
