"""The positions of a pool's partitions: done and committed."""

from collections.abc import Mapping

from crossdock.kernel.runtime.pool.claims import ClaimsView
from crossdock.kernel.runtime.pool.offset_tracker import OffsetTracker
from crossdock.kernel.runtime.pool.scheduler import Place
from crossdock.kernel.runtime.pool.takeover import TakenOver

ToCommit = dict[Place, tuple[int, str]]
"""By place the offset, and as its metadata the first offset of the claims on later records."""


class PoolPositions:
    """Offsets of the owned partitions, with the claims that the takeover read."""

    def __init__(self) -> None:
        self.offsets: dict[Place, OffsetTracker] = {}
        self.view = ClaimsView("")
        self._ends: dict[int, int] = {}

    def install(self, taken: TakenOver) -> None:
        self.offsets |= {place: OffsetTracker(at) for place, at in taken.positions.items()}
        self.view = taken.view
        self._ends = dict(taken.ends)

    def forget(self) -> None:
        self.offsets.clear()
        self.view = ClaimsView("")

    def moved(self, own_ends: Mapping[int, int]) -> ToCommit:
        """Return the positions that moved since the last commit; `own_ends`: the ends of this worker's claims."""
        return {
            place: self._note(place, safe, own_ends)
            for place, offsets in self.offsets.items()
            if (safe := offsets.to_commit()) is not None
        }

    def again(self, own_ends: Mapping[int, int], partition: int | None = None) -> ToCommit:
        """Return all safe positions, moved or not, of all partitions or of one partition number."""
        return {
            place: self._note(place, offsets.safe, own_ends)
            for place, offsets in self.offsets.items()
            if partition is None or place[1] == partition
        }

    def committed(self, position: ToCommit) -> None:
        for place, (offset, _) in position.items():
            if place in self.offsets:
                self.offsets[place].committed(offset)

    def _note(self, place: Place, offset: int, own_ends: Mapping[int, int]) -> tuple[int, str]:
        """Return `offset` with the first offset of the claims on later records, taken or not."""
        end = max(self._ends.get(place[1], 0), own_ends.get(place[1], 0))
        self.view.drop_before(*place, offset)
        begins = min(self.offsets[place].claims_from(end), self.view.claims_from(*place, end))
        return offset, str(begins)
