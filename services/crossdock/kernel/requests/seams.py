"""Looks for sensitive data that is split over several texts of a body. Pure.

Texts that follow each other in the same field are read together: without anything between them, and with a space. Only
their ends are, since the middle of a text was read by itself.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from crossdock.kernel.requests.scanning import (
    Match,
    SeenText,
    TimeSlice,
    encoded,
    has_digit,
    placeholder,
    replaced,
)
from crossdock.kernel.requests.text_fields import Place
from crossdock.kernel.requests.views import CUT, Span
from crossdock_schemas.accounts.content_filter import Action, Detector, GuardRules

EDGE = 64  # bytes of a text's end
NEAR_SEAM = (
    24  # bytes on each side of a seam, of which one is a digit or an @ if a finding is split there
)


@dataclass
class Seams:
    """The seams of the texts of one body."""

    texts: Sequence[str]
    places: Sequence[Place]
    rules: GuardRules
    left: TimeSlice
    blocking: list[Detector] = field(default_factory=list)
    redacted: dict[int, str] = field(default_factory=dict)
    """The new texts, by their numbers."""
    marks: dict[int, str] = field(default_factory=dict)
    """The marks that can replace these texts as a whole."""

    def find(self) -> Mapping[str, int]:
        """Return the number of findings by detector; set what blocks, and the texts without what is to be redacted."""
        builtins = [d for d in self.rules.detectors if d.pattern is None]
        findings: Counter[str] = Counter()
        pieces: dict[int, list[Match]] = defaultdict(list)
        for detector, parts in self._split(builtins) if builtins else ():
            if any(self._is_known(detector, number, place) for number, place in parts.items()):
                continue
            findings[detector.name] += 1
            if detector.action is Action.BLOCK:
                self.blocking.append(detector)
            for number, place in parts.items() if detector.action is Action.REDACT else ():
                pieces[number].append(Match(*place, detector))
        for number, found in pieces.items():
            raw = encoded(self.texts[number])
            self.redacted[number] = replaced(raw, found).decode(errors="replace")
            self.marks[number] = placeholder(found[0].detector.name)
        return findings

    def _split(self, builtins: Sequence[Detector]) -> Iterator[tuple[Detector, dict[int, Span]]]:
        """Yield each finding that is split, with its part of each text."""
        for numbers in self._streams():
            texts = [encoded(self.texts[number]) for number in numbers]
            gaps = [_may_continue(*pair) for pair in pairwise(texts)]
            found: set[tuple[str, int]] = set()
            for between in (b"", b" ") if any(gaps) else ():
                joined = JoinedEnds(texts, [between if gap else CUT for gap in gaps])
                seen = SeenText(joined.raw, self.left, is_joined=True)
                for match in (one for detector in builtins for one in seen.find(detector)):
                    parts = {numbers[n]: span for n, span in joined.parts(match.start, match.end)}
                    first = (match.detector.name, min(parts, default=0))
                    if len(parts) > 1 and first not in found:
                        found.add(first)
                        yield match.detector, parts

    def _streams(self) -> Iterator[Sequence[int]]:
        """Yield the numbers of texts that follow each other: in a field, and in a field of messages of one role."""
        streams: dict[tuple[str, ...], list[int]] = defaultdict(list)
        by_role: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for number, place in enumerate(self.places):
            if not place.is_alone and self.texts[number]:
                streams[place.path].append(number)
                by_role[*place.path, place.role].append(number)
        known = set()
        for numbers in (*streams.values(), *by_role.values()):
            if len(numbers) > 1 and tuple(numbers) not in known:
                known.add(tuple(numbers))
                yield numbers

    def _is_known(self, detector: Detector, number: int, place: Span) -> bool:
        """Return whether the part of a text is within what was found in the text by itself."""
        seen = SeenText(encoded(self.texts[number]), self.left)
        return any(one.start < place[1] and place[0] < one.end for one in seen.find(detector))


class JoinedEnds:
    """The ends of texts, one after the other."""

    def __init__(self, texts: Sequence[bytes], gaps: Sequence[bytes]) -> None:
        self._starts: list[int] = []
        self._origins: list[tuple[int, int, int]] = []
        """Number of the text, the place in it, and the length of the piece."""
        pieces: list[bytes] = []
        size = 0
        for number, (text, gap) in enumerate(zip(texts, (*gaps, b""), strict=True)):
            for at, piece, after in _ends(text, gap):
                self._starts.append(size)
                self._origins.append((number, at, len(piece)))
                pieces += [piece, after]
                size += len(piece) + len(after)
        self.raw = b"".join(pieces)

    def parts(self, start: int, end: int) -> Iterator[tuple[int, Span]]:
        """Yield the texts that a place touches, and its part of each."""
        for at in range(bisect_right(self._starts, start) - 1, len(self._starts)):
            number, origin, size = self._origins[at]
            first = max(start - self._starts[at], 0)
            last = min(end - self._starts[at], size)
            if last <= 0:
                return
            if first < last:
                yield number, (origin + first, origin + last)


def _ends(text: bytes, gap: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield both ends of a text, or all of it, and what follows each."""
    if len(text) <= 2 * EDGE:
        yield 0, text, gap
    else:
        yield 0, text[:EDGE], CUT
        yield len(text) - EDGE, text[-EDGE:], gap


def _may_continue(text: bytes, other: bytes) -> bool:
    """Return whether a number, a code or an address may begin in `text` and end in `other`."""
    tail, head = text[-NEAR_SEAM:], other[:NEAR_SEAM]
    return has_digit(tail) or has_digit(head)
