"""Calls of this process that wait for Kafka's answer, and consumers that got none.

Most calls wait until Kafka is back, which is right; but `/ready` must report it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger()

LATE_S = 10.0  # an answer is late after this; the slowest ones at rest (a fetch without records) take 0.5 s


class BrokerWatch:
    """Stores since when each call waits."""

    def __init__(self) -> None:
        self._since: dict[object, float] = {}
        self._silent: set[object] = set()

    @contextmanager
    def owing(self) -> Iterator[None]:
        """Count a call as waiting while the context is open."""
        call = object()
        self._since[call] = time.monotonic()
        try:
            yield
        finally:
            del self._since[call]

    def went_silent(self, reader: object) -> None:
        """Kafka answers neither `reader` nor a new connection."""
        if reader not in self._silent:
            self._silent.add(reader)
            log.error(
                "broker.away", remedy="running calls continue; new work resumes when Kafka is back"
            )

    def answered(self, reader: object) -> None:
        if reader in self._silent:
            self._silent.remove(reader)
            log.info("broker.back")

    def forget(self, reader: object) -> None:
        """`reader` is closed."""
        self._silent.discard(reader)

    def why_not(self) -> str | None:
        """Return why this process cannot continue, if Kafka is the reason."""
        late_s = time.monotonic() - min(self._since.values(), default=float("inf"))
        if late_s > LATE_S:
            return f"Kafka has not answered for {late_s:.0f} s"
        return "no broker answers" if self._silent else None


BROKER = BrokerWatch()
"""The watch of this process."""
