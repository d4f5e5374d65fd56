"""Which offset of a partition may be committed when its records finish out of order."""


class Offsets:
    """Tracks one partition. Invariant: `safe` never passes a record that was taken and is not done.

    Offsets are taken in rising order; gaps (control records, compaction) are normal.
    """

    def __init__(self, start: int) -> None:
        self._next = start
        self._open: dict[int, None] = {}  # a dict keeps the order in which they were taken
        self._committed = start

    def taken(self, offset: int) -> None:
        self._open[offset] = None
        self._next = offset + 1

    def done(self, offset: int) -> None:
        self._open.pop(offset, None)

    @property
    def safe(self) -> int:
        """The offset to commit: the first unfinished one, or the next one to read."""
        return next(iter(self._open), self._next)

    @property
    def open_count(self) -> int:
        return len(self._open)

    def to_commit(self) -> int | None:
        """Return `safe` if it moved since the last `committed`."""
        return self.safe if self.safe > self._committed else None

    def committed(self, offset: int) -> None:
        self._committed = max(self._committed, offset)
