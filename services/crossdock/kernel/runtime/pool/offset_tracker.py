"""Finds the offset to commit when records finish out of order, and the start of the open claims. Pure."""


class Mark:
    """One taken record: whether it is done, and the offset of the first note about it."""

    __slots__ = ("claims_from", "is_done")

    def __init__(self, claims_from: int | None = None) -> None:
        self.claims_from = claims_from
        self.is_done = False


class OffsetTracker:
    """Tracks one partition. Invariant: `safe` never passes a record that was taken and is not done.

    Offsets are taken in rising order; gaps (control records, compaction) are normal. Done records are kept until
    `safe` has passed them, as a takeover must find the notes about them.
    """

    def __init__(self, start: int) -> None:
        self.next = start
        self._marks: dict[int, Mark] = {}  # a dict keeps the order in which they were taken
        self._committed = start

    def __len__(self) -> int:
        """Return the number of records between `safe` and the last one taken."""
        return len(self._marks)

    def taken(self, offset: int, claims_from: int | None = None) -> Mark:
        mark = self._marks[offset] = Mark(claims_from)
        self.next = offset + 1
        return mark

    def mark(self, offset: int) -> Mark:
        """Return the mark of a record that is not done."""
        return self._marks[offset]

    def has(self, offset: int) -> bool:
        return offset in self._marks

    def done(self, offset: int) -> None:
        mark = self._marks.get(offset)
        if mark is None:
            return
        mark.is_done = True
        while self._marks and (first := next(iter(self._marks.items())))[1].is_done:
            del self._marks[first[0]]

    @property
    def safe(self) -> int:
        """The offset to commit: the first unfinished one, or the next one to read."""
        return next(iter(self._marks), self.next)

    def claims_from(self, end: int) -> int:
        """Return the offset from which a new owner must read the claims; `end` is their current end."""
        begins = (m.claims_from for m in self._marks.values() if m.claims_from is not None)
        return min(begins, default=end)

    def to_commit(self) -> int | None:
        """Return `safe` if it moved since the last `committed`."""
        return self.safe if self.safe > self._committed else None

    def committed(self, offset: int) -> None:
        self._committed = max(self._committed, offset)
