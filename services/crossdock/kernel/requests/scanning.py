"""Looks for sensitive data in one text: where it is, and the text without it. Pure.

Patterns are RE2's, whose time is linear, because tenants write them. A scan has a slice of time: a text that needs more
is not read to its end, and counts as refused.
"""

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from crossdock.kernel.process.patterns import OWN_MEMORY, Pattern, compile_pattern
from crossdock.kernel.requests.detectors import BUILTINS, Detection
from crossdock.kernel.requests.disguises import DIGIT_LIKE
from crossdock.kernel.requests.views import Span, View, plain_views
from crossdock_schemas.accounts.content_filter import Action, Builtin, Detector, GuardRules

MAX_PROGRAM = 2000  # instructions of a pattern; the worst takes 4 us for each and kB of text
MAX_FOUND = (
    200  # matches of a tenant's pattern in one text; the last extends to the end of the text
)
ROUNDS = (
    4  # a removal can make a pattern match again; after the last round the whole text is removed
)
SLICE_S = 1.0  # CPU time for the filters of one body
MAX_WORK = (
    100_000_000  # instructions times bytes of one search, 0.4 s at worst: it cannot be interrupted
)
WINDOW = 65_536  # bytes that every pattern may search at once
OVERLAP = 8192  # bytes of two windows of a text: matches up to this length are found
_LETTERS_ONLY = Builtin.IT_CODICE_FISCALE.value


class TooSlowError(Exception):
    """The filters need more time for a body than its slice."""

    def __init__(self, detector: Detector) -> None:
        super().__init__(detector.name)
        self.detector = detector


class TimeSlice:
    """The CPU time that the filters of one body may take, from its creation on, in this thread."""

    def __init__(self, limit_s: float = SLICE_S) -> None:
        self._end_s = time.thread_time() + limit_s

    def check(self, detector: Detector) -> None:
        """Raise TooSlowError if the time is over."""
        if time.thread_time() > self._end_s:
            raise TooSlowError(detector)


class Match(NamedTuple):
    """A place in a text, and the detector that matched there."""

    start: int
    end: int
    detector: Detector


@dataclass(frozen=True, slots=True)
class Scan:
    """The outcome for one text."""

    text: str
    findings: Mapping[str, int]
    """Number of findings by detector."""
    blocking: Detector | None


CANDIDATES = 32  # between two looks at the clock
NOTHING: Mapping[str, int] = {}


def scan(
    text: str, rules: GuardRules, left: TimeSlice | None = None, *, is_word: bool = False
) -> Scan:
    """Apply `rules` to `text`; remove the findings that are to be redacted. Findings that block stay.

    `is_word`: it is a word of the API, such as the name of a field; tenants' patterns do not apply to it.

    Raises:
        TooSlowError: if it takes longer than its slice of time.
    """
    left = left or TimeSlice()
    detectors = [d for d in rules.detectors if d.pattern is None or not is_word]
    seen = SeenText(encoded(text), left)
    marks = marks_in(seen.raw, rules)
    found: list[tuple[Detector, list[Match]]] = []
    for detector in detectors:
        places = seen.find(detector, () if detector.action is Action.BLOCK else marks)
        if places:
            found.append((detector, places))
    if not found:
        return Scan(text, NOTHING, None)
    findings: dict[str, int] = {}
    for detector, places in found:
        findings[detector.name] = findings.get(detector.name, 0) + len(places)
    blocking = (detector for detector, _ in found if detector.action is Action.BLOCK)
    redacting = [one for d, places in found if d.action is Action.REDACT for one in places]
    clean = text
    if redacting:
        clean = _redacted(seen.raw, redacting, rules, left, detectors).decode(errors="replace")
    return Scan(clean, findings, next(blocking, None))


def placeholder(name: str) -> str:
    """Return the mark that replaces a finding."""
    return f"[{name.upper().replace('-', '_')}]"


def encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a character, which JSON can hold
        return text.encode(errors="replace")


def has_digit(raw: bytes) -> bool:
    """Return whether a text has what all findings have, but for a code in letters only."""
    return compile_pattern(DIGIT_LIKE, OWN_MEMORY).search(raw) is not None


@dataclass
class SeenText:
    """A text, and its views."""

    raw: bytes
    left: TimeSlice
    is_joined: bool = False
    """Whether it is made of several texts: a finding needs as much proof as in a view."""
    _plain: Sequence[View] | None = None

    def _views(self, detector: Detector) -> Sequence[View]:
        if self._plain is None:
            self._plain = tuple(plain_views(View(self.raw), lambda: self.left.check(detector)))
        return self._plain

    @cached_property
    def _has_digit(self) -> bool:
        return has_digit(self.raw)

    def find(self, detector: Detector, marks: Sequence[Span] = ()) -> list[Match]:
        """Return the matches of `detector` outside of marks; a match includes the marks that it touches."""
        pattern = detector.pattern
        if pattern is None and not self._has_digit and detector.name != _LETTERS_ONLY:
            return []
        places = self._builtin(detector) if pattern is None else self._tenants(pattern, detector)
        if not marks:
            return [Match(start, end, detector) for start, end in places]
        widened = (_widen(place, marks) for place in places)
        return [Match(*place, detector) for place in widened if place is not None]

    def _builtin(self, detector: Detector) -> Iterable[Span]:
        """Return what is found in the text, and in its views without disguises."""
        detection = BUILTINS[detector.name]
        found = [
            place
            for place in self._confirmed(self.raw, detection, detector)
            if not self.is_joined or detection.is_likely(self.raw, *place)
        ]
        if not self._has_digit or not self._views(detector):
            return found
        more = (
            view.origin(*place)
            for view in self._views(detector)
            for place in self._confirmed(view.raw, detection, detector)
            if detection.is_likely(view.raw, *place)
        )
        return merged(chain(found, more))

    def _confirmed(self, raw: bytes, detection: Detection, detector: Detector) -> Iterator[Span]:
        if detection.needs not in raw:
            return
        candidates = compile_pattern(detection.pattern).finditer(raw)
        for count, candidate in enumerate(candidates):
            if not count % CANDIDATES:
                self.left.check(detector)
            for start, end in detection.confirm(raw, *candidate.span()):
                if start < end:
                    yield start, end
                else:
                    self.left.check(detector)

    def _tenants(self, pattern: str, detector: Detector) -> Iterator[Span]:
        """Yield matches that are not empty. As each may look far ahead, one covers the rest after `MAX_FOUND`."""
        compiled = compile_pattern(pattern)
        if compiled.programsize > MAX_PROGRAM:
            raise TooSlowError(detector)
        for count, (start, end) in enumerate(self._searched(compiled, detector), 1):
            if count > MAX_FOUND:
                yield start, len(self.raw)
                return
            if start < end:
                yield start, end

    def _searched(self, compiled: Pattern, detector: Detector) -> Iterable[Span]:
        """Yield matches; a text that one search cannot read in its time is searched in windows."""
        size = max(WINDOW, MAX_WORK // compiled.programsize)
        if len(self.raw) <= size:
            return self._window(compiled, detector, 0, len(self.raw))
        windows = range(0, len(self.raw) - OVERLAP, size - OVERLAP)
        return merged(
            place for at in windows for place in self._window(compiled, detector, at, at + size)
        )

    def _window(
        self, compiled: Pattern, detector: Detector, start: int, end: int
    ) -> Iterator[Span]:
        self.left.check(detector)
        for match in compiled.finditer(self.raw, start, end):
            yield match.span()
            self.left.check(detector)


def merged(places: Iterable[Span]) -> list[Span]:
    """Return places in their order; those that overlap are one."""
    found: list[Span] = []
    for start, end in sorted(places):
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def marks_in(raw: bytes, rules: GuardRules) -> list[Span]:
    """Return the places of marks."""
    if b"[" not in raw:
        return []
    names = {placeholder(d.name).encode() for d in rules.detectors if d.action is Action.REDACT}
    return sorted(place for name in names for place in _places(raw, name))


def _places(raw: bytes, mark: bytes) -> Iterator[Span]:
    at = raw.find(mark)
    while at >= 0:
        yield at, at + len(mark)
        at = raw.find(mark, at + len(mark))


def _widen(place: Span, marks: Sequence[Span]) -> Span | None:
    """Return `place` with the marks that it overlaps; None if it is within one."""
    start, end = place
    at = bisect_left(marks, (start + 1,)) - 1
    if at >= 0 and marks[at][1] > start:
        if end <= marks[at][1]:
            return None
        start = marks[at][0]
    last = bisect_left(marks, (end,)) - 1
    if last >= 0 and marks[last][1] > end:
        end = marks[last][1]
    return start, end


def _redacted(
    raw: bytes,
    found: list[Match],
    rules: GuardRules,
    left: TimeSlice,
    detectors: Iterable[Detector],
) -> bytes:
    """Return `raw` without the findings, and without the findings in the rest."""
    redacting = [d for d in detectors if d.action is Action.REDACT]
    first = found[0].detector
    for _ in range(ROUNDS):
        raw = replaced(raw, found)
        marks, seen = marks_in(raw, rules), SeenText(raw, left)
        found = [one for detector in redacting for one in seen.find(detector, marks)]
        if not found:
            return raw
    return placeholder(first.name).encode()


def replaced(raw: bytes, found: Iterable[Match]) -> bytes:
    """Replace each finding by a mark; overlapping findings get the mark of the first."""
    pieces, done = [], 0
    for start, end, detector in sorted(found, key=lambda one: (one.start, -one.end)):
        if start >= done:
            pieces += [raw[done:start], placeholder(detector.name).encode()]
        done = max(done, end)
    pieces.append(raw[done:])
    return b"".join(pieces)
