"""Delayed records: they were read before their time. Pure.

The first record of a partition is due first. A partition that fills its share of memory is not polled.
"""

from collections import deque
from collections.abc import Callable, Iterable

from crossdock.kernel.process.record import Record

Place = tuple[str, int]
ReadyMs = Callable[[Record], int]
MAX_COUNT = 1000
MAX_BYTES = 2_097_152  # of one partition; a poll may bring as much again


class DelayQueue:
    """Delays records until `ready_ms(record)`, in unix ms."""

    def __init__(self, ready_ms: ReadyMs) -> None:
        self._ready_ms = ready_ms
        self._delayed: dict[Place, deque[Record]] = {}
        self._bytes: dict[Place, int] = {}

    def add(self, records: Iterable[Record]) -> None:
        for record in records:
            self._delayed.setdefault(record.place, deque()).append(record)
            self._bytes[record.place] = self._bytes.get(record.place, 0) + record.size

    def full(self) -> frozenset[Place]:
        """Return the partitions that need not be polled."""
        return frozenset(
            place
            for place, delayed in self._delayed.items()
            if len(delayed) >= MAX_COUNT or self._bytes[place] >= MAX_BYTES
        )

    def take(self, now_ms: int) -> list[Record]:
        """Return the records that are due, in order within a partition."""
        due: list[Record] = []
        for place, delayed in self._delayed.items():
            while delayed and self._ready_ms(delayed[0]) <= now_ms:
                record = delayed.popleft()
                self._bytes[place] -= record.size
                due.append(record)
        return due
