"""The view of the claims on a partition. Pure.

A view serves one takeover. It is read from the start of the open claims, as committed with the offsets, to the end of
the partition, and then on while another worker holds calls under a live lease.
"""

from dataclasses import dataclass, field

from crossdock.kernel.process.timing import DEFAULT
from crossdock_schemas.calls.claim import ClaimNote


@dataclass(frozen=True, slots=True)
class Start:
    """A claimed call."""

    claim: str
    call: int
    at_ms: int


@dataclass(slots=True)
class EarlierClaims:
    """The claims of earlier owners on one record."""

    claims_from: int
    """The offset of the first note about the record."""
    starts: dict[int, list[Start]] = field(default_factory=dict)
    """Calls by line, in the order of the log."""
    ended: dict[int, set[str]] = field(default_factory=dict)
    """By line, the claims that reported its end."""

    def lapsed(self, line: int) -> list[Start]:
        """Return the calls of `line` without a reported end.

        A report of an end covers all calls of its worker, and all calls before the worker's first one, which it
        booked after they had lapsed.
        """
        starts, ended = self.starts.get(line, []), self.ended.get(line, set())
        first = {start.claim: at for at, start in reversed(list(enumerate(starts)))}
        covered = max((first[claim] for claim in ended if claim in first), default=-1)
        return [s for at, s in enumerate(starts) if at > covered and s.claim not in ended]

    def repeated_by(self, line: int, start: Start) -> Start | None:
        """Return the last call of another worker before `start`."""
        starts = self.starts[line]
        earlier = [s for s in starts[: starts.index(start)] if s.claim != start.claim]
        return earlier[-1] if earlier else None

    def was_followed(self, line: int, start: Start) -> bool:
        """Return whether the same worker called again after `start`, which was then refused."""
        starts = self.starts[line]
        return any(s.claim == start.claim for s in starts[starts.index(start) + 1 :])

    def starts_of_others(self, claim: str) -> int:
        """Return the number of calls under other claims."""
        return sum(start.claim != claim for starts in self.starts.values() for start in starts)

    def holders(self) -> set[str]:
        """Return the claims whose calls may still run."""
        return {start.claim for line in self.starts for start in self.lapsed(line)}


class ClaimsView:
    """Claims by record. Invariant: a line belongs to the worker that began it last."""

    def __init__(self, worker: str, *, grace_ms: int = DEFAULT.grace_ms) -> None:
        self._worker = worker
        self._grace_ms = grace_ms
        self._records: dict[tuple[str, int, int], EarlierClaims] = {}
        self._leases: dict[str, int] = {}

    def apply(self, partition: int, note: ClaimNote, position: int) -> None:
        """Apply the note at offset `position` of the claims."""
        # why: an earlier process of this name is dead, as the group admits one at a time
        is_ours = note.worker == self._worker
        self._leases[note.claim] = 0 if is_ours else note.lease_until_ms + self._grace_ms
        for began in note.started:
            earlier = self._records.setdefault(
                (began.topic, partition, began.offset), EarlierClaims(position)
            )
            for line in began.lines:
                start = Start(note.claim, began.call, note.at_ms)
                earlier.starts.setdefault(line, []).append(start)
        for end in note.ended:
            earlier = self._records.setdefault(
                (end.topic, partition, end.offset), EarlierClaims(position)
            )
            for line in end.lines:
                earlier.ended.setdefault(line, set()).add(note.claim)

    def find(self, topic: str, partition: int, offset: int) -> EarlierClaims | None:
        return self._records.get((topic, partition, offset))

    def is_live(self, earlier: EarlierClaims, now_ms: int) -> bool:
        """Return whether another worker still holds a call of the record."""
        return any(now_ms <= self._leases.get(claim, 0) for claim in earlier.holders())

    def has_live(self, now_ms: int) -> bool:
        """Return whether another worker still holds a call here."""
        return any(self.is_live(earlier, now_ms) for earlier in self._records.values())

    def claims_from(self, topic: str, partition: int, end: int) -> int:
        """Return the first offset of the notes about the open records of a place; `end` if there are none."""
        begins = (h.claims_from for k, h in self._records.items() if k[:2] == (topic, partition))
        return min(begins, default=end)

    def drop_before(self, topic: str, partition: int, offset: int) -> None:
        """Drop the records below `offset`, which is committed."""
        old = [key for key in self._records if key[:2] == (topic, partition) and key[2] < offset]
        for key in old:
            del self._records[key]
