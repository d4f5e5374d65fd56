"""Finds the record that makes a step fail. Pure.

A step that failed has changed the state in part. So the shard is opened again from its committed pages, and the same
records are read again. If the step named the record that it was applying, that one is left out. Otherwise the records
are applied one at a time until one of them fails; an empty step goes first, because a step may also fail without any
record. Then no record is to blame, and the partition waits and tries again, while the others go on.
"""

from collections.abc import Iterator, Sequence

from crossdock.kernel.process.record import Record

Place = tuple[str, int]
STUCK_BASE_S = 1.0
STUCK_LIMIT_S = 30.0


class OwnWork:
    """Work of a step that no record asked for."""


OWN_WORK = OwnWork()
Applying = Record | OwnWork | None
"""The work that a step does when it fails; None: it is not known."""


class StepFailedError(Exception):
    """A step failed because of a record, or of the state. Not one of CrossdockError: it never leaves the shard."""

    def __init__(self, records: Sequence[Record], applying: Applying, error: Exception) -> None:
        super().__init__(repr(error))
        self.records, self.applying, self.error = records, applying, error


class Isolation:
    """The records of one partition that are left out, and those that are applied one at a time."""

    def __init__(self) -> None:
        self._aside: dict[tuple[Place, int], Exception] = {}
        self._alone: dict[Place, int] = {}
        """By place, the last record of a failed step."""
        self._stuck = 0

    @property
    def is_on(self) -> bool:
        return bool(self._aside or self._alone or self._stuck)

    @property
    def rest_s(self) -> float:
        """Seconds until the shard is opened again."""
        return min(STUCK_LIMIT_S, STUCK_BASE_S * 2.0 ** (self._stuck - 1)) if self._stuck else 0.0

    def has(self, record: Record) -> bool:
        return bool(self._aside) and (record.place, record.offset) in self._aside

    def error_of(self, record: Record) -> Exception | None:
        return self._aside.get((record.place, record.offset))

    def failed(self, failed: StepFailedError) -> None:
        """Decide what to do about a failed step."""
        tried = [record for record in failed.records if not self.has(record)]
        to_blame = failed.applying
        if to_blame is None and len(tried) == 1 and self._is_alone(tried[0]):
            to_blame = tried[0]
        if isinstance(to_blame, Record):
            self._aside[to_blame.place, to_blame.offset] = failed.error
        elif tried and to_blame is None:
            for record in tried:
                self._alone[record.place] = max(self._alone.get(record.place, 0), record.offset)
        else:
            self._stuck += 1

    def _is_alone(self, record: Record) -> bool:
        return record.offset <= self._alone.get(record.place, -1)

    def portions(self, records: Sequence[Record]) -> Iterator[Sequence[Record]]:
        """Yield the records of a step in the portions in which they are applied."""
        if not self._alone:
            yield records
            return
        yield ()
        for record in records:
            yield (record,)

    def committed(self, records: Sequence[Record]) -> None:
        """Forget what is needed no more: a step with `records` is visible."""
        self._stuck = 0
        for record in records:
            self._aside.pop((record.place, record.offset), None)
            if record.offset >= self._alone.get(record.place, record.offset + 1):
                del self._alone[record.place]
