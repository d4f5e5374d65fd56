"""Records that were read before their time. Pure.

The first record of a partition is the first due. What is held is bounded by the partition's share of memory: one that
has its share is not polled.
"""

from collections import deque
from collections.abc import Callable, Iterable

from crossdock.kernel.process.record import Record

Place = tuple[str, int]
ReadyMs = Callable[[Record], int]
MAX_COUNT = 1000
MAX_BYTES = 2_097_152  # of one partition; a poll may bring as much again


class Holding:
    """Holds records back until `ready_ms(record)`, in unix ms."""

    def __init__(self, ready_ms: ReadyMs) -> None:
        self._ready_ms = ready_ms
        self._held: dict[Place, deque[Record]] = {}
        self._bytes: dict[Place, int] = {}

    def add(self, records: Iterable[Record]) -> None:
        for record in records:
            self._held.setdefault(record.place, deque()).append(record)
            self._bytes[record.place] = self._bytes.get(record.place, 0) + record.size

    def full(self) -> frozenset[Place]:
        """Return the partitions that need not be polled."""
        return frozenset(
            place
            for place, held in self._held.items()
            if len(held) >= MAX_COUNT or self._bytes[place] >= MAX_BYTES
        )

    def take(self, now_ms: int) -> list[Record]:
        """Return what is due, in order within a partition."""
        due: list[Record] = []
        for place, held in self._held.items():
            while held and self._ready_ms(held[0]) <= now_ms:
                record = held.popleft()
                self._bytes[place] -= record.size
                due.append(record)
        return due
