"""Which polled record begins next, and which partitions have polled enough. Pure.

A partition waits behind nobody's backlog but its own: each has its own queue and its own limit. Work belongs to a
share (one provider, say), which has its own room inside the common one; in both, neither lane can take the last
eighth from the other.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

from crossdock.kernel.process.record import Record

Place = tuple[str, int]
RESERVE = 8  # 1/8 of a room is kept for the other lane
MAX_BYTES = 8_388_608  # polled and not begun, per partition


@dataclass(frozen=True, slots=True)
class WorkShare:
    """Whose work a topic holds, how much of it may run at once, and whether it goes first."""

    name: str
    limit: int
    is_urgent: bool = False


@dataclass(slots=True)
class LaneRoom:
    """What runs in a space of `limit` units, by lane."""

    limit: int
    urgent: int = 0
    other: int = 0

    def fits(self, weight: int, *, is_urgent: bool) -> bool:
        """Say whether `weight` more may run. A lane with nothing running is let in, whatever the weight."""
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
    """A record with its weight, and whose it is."""

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
    """Records between poll and begin. Invariant: what runs is what `begin` gave and `release` has not taken back."""

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
        self._all = LaneRoom(capacity)
        self._rooms: dict[Hashable, LaneRoom] = {}
        self._queues: dict[Place, _Queue] = {}
        self._turns: dict[bool, deque[Place]] = {True: deque(), False: deque()}

    @property
    def running(self) -> int:
        """Units that run."""
        return self._all.urgent + self._all.other

    @property
    def waiting(self) -> int:
        """Units that wait."""
        return sum(queue.weight for queue in self._queues.values())

    def take(self, record: Record) -> None:
        item = Item(record, self._weigh(record), self._share_of(record.topic))
        queue = self._queues.get(record.place)
        if queue is None:
            queue = self._queues[record.place] = _Queue()
            self._turns[item.share.is_urgent].append(record.place)
        queue.push(item)

    def full(self) -> frozenset[Place]:
        """Return the partitions that need not be polled now."""
        return frozenset(
            place
            for place, queue in self._queues.items()
            if queue.weight >= self._capacity or queue.size >= MAX_BYTES
        )

    def begin(self) -> Iterator[Item]:
        """Yield what may run now: urgent work first; inside a lane the partitions take turns."""
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
        room = self._rooms.get(share.name)
        if room is None:
            room = self._rooms[share.name] = LaneRoom(share.limit)
        for space in (room, self._all):
            if not space.fits(item.weight, is_urgent=share.is_urgent):
                return False
        room.add(item.weight, is_urgent=share.is_urgent)
        self._all.add(item.weight, is_urgent=share.is_urgent)
        return True

    def release(self, item: Item) -> None:
        """What ran has ended."""
        self._rooms[item.share.name].add(-item.weight, is_urgent=item.share.is_urgent)
        self._all.add(-item.weight, is_urgent=item.share.is_urgent)

    def forget(self) -> None:
        """Drop what waits; what runs goes on."""
        self._queues.clear()
        for turns in self._turns.values():
            turns.clear()
