"""Decides which polled record begins next, and which partitions have polled enough. Pure.

Each partition has its own queue and limit, so it never waits behind the backlog of another one. Work belongs to a share
(such as one provider), whose limit is part of the common capacity; in both, the last eighth is kept for the other lane.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

from crossdock.kernel.process.record import Record

Place = tuple[str, int]
RESERVE = 8  # 1/8 of a limit is kept for the other lane
MAX_BYTES = 8_388_608  # polled and not begun, per partition


@dataclass(frozen=True, slots=True)
class WorkShare:
    """The owner of the work on a topic, its limit at once, and whether it goes first."""

    name: str
    limit: int
    is_urgent: bool = False


@dataclass(slots=True)
class LaneLoad:
    """The running units under a limit, by lane."""

    limit: int
    urgent: int = 0
    other: int = 0

    def fits(self, weight: int, *, is_urgent: bool) -> bool:
        """Return whether `weight` more may run. A lane without running work may always begin one record."""
        mine = self.urgent if is_urgent else self.other
        return not mine or (
            mine + weight <= self.limit - self.limit // RESERVE
            and self.urgent + self.other + weight <= self.limit
        )

    def add(self, weight: int, *, is_urgent: bool) -> None:
        if is_urgent:
            self.urgent += weight
        else:
            self.other += weight


@dataclass(frozen=True, slots=True)
class Item:
    """A record with its weight and share."""

    record: Record
    weight: int
    share: WorkShare


@dataclass(slots=True)
class _Queue:
    items: deque[Item] = field(default_factory=deque)
    weight: int = 0
    size: int = 0

    def push(self, item: Item) -> None:
        self.items.append(item)
        self.weight += item.weight
        self.size += item.record.size

    def pop(self) -> Item:
        item = self.items.popleft()
        self.weight -= item.weight
        self.size -= item.record.size
        return item


class Scheduler:
    """Records between poll and begin. Invariant: the running items are those begun and not released."""

    def __init__(
        self,
        capacity: int,
        *,
        weigh: Callable[[Record], int],
        share_of: Callable[[str], WorkShare],
    ) -> None:
        self._capacity = capacity
        self._weigh = weigh
        self._share_of = share_of
        self._all = LaneLoad(capacity)
        self._loads: dict[Hashable, LaneLoad] = {}
        self._queues: dict[Place, _Queue] = {}
        self._turns: dict[bool, deque[Place]] = {True: deque(), False: deque()}

    @property
    def running(self) -> int:
        """Running units."""
        return self._all.urgent + self._all.other

    @property
    def waiting(self) -> int:
        """Waiting units."""
        return sum(queue.weight for queue in self._queues.values())

    def take(self, record: Record) -> None:
        item = Item(record, self._weigh(record), self._share_of(record.topic))
        queue = self._queues.get(record.place)
        if queue is None:
            queue = self._queues[record.place] = _Queue()
            self._turns[item.share.is_urgent].append(record.place)
        queue.push(item)

    def full(self) -> frozenset[Place]:
        """Return the partitions that must not be polled now."""
        return frozenset(
            place
            for place, queue in self._queues.items()
            if queue.weight >= self._capacity or queue.size >= MAX_BYTES
        )

    def begin(self) -> Iterator[Item]:
        """Yield the items that may run now: urgent ones first; inside a lane the partitions take turns."""
        for is_urgent in (True, False):
            while (item := self._next(self._turns[is_urgent])) is not None:
                yield item

    def _next(self, turns: deque[Place]) -> Item | None:
        for _ in range(len(turns)):
            place = turns[0]
            turns.rotate(-1)
            queue = self._queues[place]
            if queue.items and self._admit(queue.items[0]):
                return queue.pop()
        return None

    def _admit(self, item: Item) -> bool:
        share = item.share
        load = self._loads.get(share.name)
        if load is None:
            load = self._loads[share.name] = LaneLoad(share.limit)
        load.limit = share.limit  # a newer catalogue may have changed it
        for space in (load, self._all):
            if not space.fits(item.weight, is_urgent=share.is_urgent):
                return False
        load.add(item.weight, is_urgent=share.is_urgent)
        self._all.add(item.weight, is_urgent=share.is_urgent)
        return True

    def release(self, item: Item) -> None:
        """Free the units of an item that ended."""
        self._loads[item.share.name].add(-item.weight, is_urgent=item.share.is_urgent)
        self._all.add(-item.weight, is_urgent=item.share.is_urgent)

    def forget(self) -> None:
        """Drop the waiting items; running ones go on."""
        self._queues.clear()
        for turns in self._turns.values():
            turns.clear()
