"""What the claims on a partition say of its records. Pure.

One view serves one taking over: it is read from where the committed offsets say that open claims begin, up to the end
of the partition, and then further while another worker still holds something under a live lease.
"""

from dataclasses import dataclass, field

from crossdock.kernel.process.timing import DEFAULT
from crossdock_schemas.calls.claim import ClaimNote


@dataclass(frozen=True, slots=True)
class Start:
    """A call that was about to be made."""

    claim: str
    call: int
    at_ms: int


@dataclass(slots=True)
class EarlierClaims:
    """What earlier owners did with one record."""

    claims_from: int
    """The offset of the first note about it."""
    starts: dict[int, list[Start]] = field(default_factory=dict)
    """By line, in the order of the log."""
    ended: dict[int, set[str]] = field(default_factory=dict)
    """By line, the claims that told of its end."""

    def lapsed(self, line: int) -> list[Start]:
        """Return the calls of `line` whose end nobody told.

        Who tells of an end tells of all his calls, and of those before his first one: he waited until they had lapsed,
        and booked them.
        """
        starts, told = self.starts.get(line, []), self.ended.get(line, set())
        first = {start.claim: at for at, start in reversed(list(enumerate(starts)))}
        covered = max((first[claim] for claim in told if claim in first), default=-1)
        return [s for at, s in enumerate(starts) if at > covered and s.claim not in told]

    def repeated_by(self, line: int, start: Start) -> Start | None:
        """Return the call that another worker had begun before `start`, the last one of them."""
        starts = self.starts[line]
        earlier = [s for s in starts[: starts.index(start)] if s.claim != start.claim]
        return earlier[-1] if earlier else None

    def was_followed(self, line: int, start: Start) -> bool:
        """Say whether the same worker called again after `start`: then that call was refused."""
        starts = self.starts[line]
        return any(s.claim == start.claim for s in starts[starts.index(start) + 1 :])

    def starts_of_others(self, claim: str) -> int:
        """Return how many calls were begun under other claims."""
        return sum(start.claim != claim for starts in self.starts.values() for start in starts)

    def holders(self) -> set[str]:
        """Return the claims under which calls may run still."""
        return {start.claim for line in self.starts for start in self.lapsed(line)}


class ClaimsView:
    """Claims by record. Invariant: a record's lines are held by whoever began them last."""

    def __init__(self, worker: str, *, grace_ms: int = DEFAULT.grace_ms) -> None:
        self._worker = worker
        self._grace_ms = grace_ms
        self._held: dict[tuple[str, int, int], EarlierClaims] = {}
        self._leases: dict[str, int] = {}

    def apply(self, partition: int, note: ClaimNote, position: int) -> None:
        """Take in a note that lies at `position` of the claims."""
        # why: who has our name and is not us is dead, for the group lets one live
        is_ours = note.worker == self._worker
        self._leases[note.claim] = 0 if is_ours else note.lease_until_ms + self._grace_ms
        for began in note.started:
            held = self._held.setdefault(
                (began.topic, partition, began.offset), EarlierClaims(position)
            )
            for line in began.lines:
                start = Start(note.claim, began.call, note.at_ms)
                held.starts.setdefault(line, []).append(start)
        for end in note.ended:
            held = self._held.setdefault(
                (end.topic, partition, end.offset), EarlierClaims(position)
            )
            for line in end.lines:
                held.ended.setdefault(line, set()).add(note.claim)

    def find(self, topic: str, partition: int, offset: int) -> EarlierClaims | None:
        return self._held.get((topic, partition, offset))

    def is_live(self, held: EarlierClaims, now_ms: int) -> bool:
        """Say whether another worker holds some of it still."""
        return any(now_ms <= self._leases.get(claim, 0) for claim in held.holders())

    def has_live(self, now_ms: int) -> bool:
        """Say whether another worker holds anything here still."""
        return any(self.is_live(held, now_ms) for held in self._held.values())

    def claims_from(self, topic: str, partition: int, end: int) -> int:
        """Return where the notes about what is left of this place begin; `end` if nothing is."""
        begins = (h.claims_from for k, h in self._held.items() if k[:2] == (topic, partition))
        return min(begins, default=end)

    def drop_before(self, topic: str, partition: int, offset: int) -> None:
        """Forget the records below `offset`, which is committed."""
        old = [key for key in self._held if key[:2] == (topic, partition) and key[2] < offset]
        for key in old:
            del self._held[key]
