"""How far a pool's partitions are done, and what of that is committed."""

from collections.abc import Mapping

from crossdock.kernel.runtime.pool.claims import ClaimsView
from crossdock.kernel.runtime.pool.offset_tracker import OffsetTracker
from crossdock.kernel.runtime.pool.scheduler import Place
from crossdock.kernel.runtime.pool.takeover import TakenOver

ToCommit = dict[Place, tuple[int, str]]
"""By place the offset, and in its note where the claims about what lies beyond it begin."""


class PoolPositions:
    """OffsetTracker of the partitions that were taken over, beside what the claims said of them."""

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
        """Return what moved since it was last committed; `own_ends` is where our own claims end."""
        return {
            place: self._note(place, safe, own_ends)
            for place, offsets in self.offsets.items()
            if (safe := offsets.to_commit()) is not None
        }

    def again(self, own_ends: Mapping[int, int], partition: int | None = None) -> ToCommit:
        """Return what is safe, moved or not: of all partitions, or of one partition number."""
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
        """Return `offset` with where the claims about what lies beyond it begin, taken or not taken yet."""
        end = max(self._ends.get(place[1], 0), own_ends.get(place[1], 0))
        self.view.drop_before(*place, offset)
        begins = min(self.offsets[place].claims_from(end), self.view.claims_from(*place, end))
        return offset, str(begins)
