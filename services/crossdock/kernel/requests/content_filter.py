"""Looks for sensitive data in requests; counts it, takes it out, or says that the request is blocked. Pure.

The one door to RE2, whose time is linear: tenants write patterns. What was found is told in numbers by detector, never
in words.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import re2

from crossdock.kernel.requests.detectors import BUILTINS, Confirm, Span
from crossdock.kernel.requests.text_fields import Json, rewrite
from crossdock_schemas.accounts.content_filter import Action, Builtin, Detector, GuardRules

MAX_MEMORY = 1 << 19  # bytes for one pattern's automata; RE2 itself would take 8 MiB
MAX_PROGRAM = 2000  # instructions of a pattern; the worst takes 3 us for each and kB of text
MAX_PATTERNS = 512  # compiled ones that are kept
MAX_FOUND = 200  # matches of an own pattern in one text; the last goes on to the text's end
ROUNDS = 4  # what is taken out can let a pattern match anew; then all of the text is taken out
SAMPLES = ("", "a", " a ", "a1-@. B\n", "0 0")
"""Where a sound pattern matches some text, if it matches at all."""


class Found(NamedTuple):
    """A place in a text, and what was found there."""

    start: int
    end: int
    detector: Detector


@dataclass(frozen=True, slots=True)
class Scan:
    """What became of a text."""

    text: str
    findings: Mapping[str, int]
    """How often each detector found something."""
    blocking: Detector | None


@dataclass(frozen=True, slots=True)
class Guarded:
    """What became of a request's body."""

    body: Json
    """The body itself where nothing was taken out, or where it is blocked."""
    findings: Mapping[str, int]
    blocking: Detector | None = None
    """Who blocks it; None: it may go on."""


def why_unsound(pattern: str) -> str | None:
    """Return why a tenant's pattern cannot be taken; None if it can."""
    try:
        compiled = _compile(pattern)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        return said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    except UnicodeEncodeError:
        return "it holds half a character"
    if compiled.programsize > MAX_PROGRAM:
        return f"it is too large: {compiled.programsize} instructions, {MAX_PROGRAM} at most"
    if any(start == end for text in SAMPLES for start, end in _matches(compiled, text.encode())):
        return "it matches where there is nothing"
    return None


def guard(body: Json, rules: GuardRules) -> Guarded:
    """Look for all that `rules` name in the texts of `body`, and take out what is to be redacted."""
    findings: Counter[str] = Counter()
    blocking: list[Detector] = []

    def look(text: str) -> str:
        found = scan(text, rules)
        findings.update(found.findings)
        if found.blocking is not None:
            blocking.append(found.blocking)
        return found.text

    clean = rewrite(body, look)
    if blocking:
        return Guarded(body, findings, blocking[0])
    return Guarded(clean, findings)


def scan(text: str, rules: GuardRules) -> Scan:
    """Look for all that `rules` name in `text`, and take out what is to be redacted; what blocks stays as it is."""
    raw = _encoded(text)
    marks = _marks(raw, rules)
    found: list[tuple[Detector, list[Found]]] = []
    findings: dict[str, int] = {}
    for detector in rules.detectors:
        places = _find(raw, detector, () if detector.action is Action.BLOCK else marks)
        if places:
            found.append((detector, places))
            findings[detector.name] = findings.get(detector.name, 0) + len(places)
    blocking = (detector for detector, _ in found if detector.action is Action.BLOCK)
    redacting = [one for d, places in found if d.action is Action.REDACT for one in places]
    clean = _redacted(raw, redacting, rules).decode(errors="replace") if redacting else text
    return Scan(clean, findings, next(blocking, None))


def placeholder(name: str) -> str:
    """Return what stands in the place of what was taken out."""
    return f"[{name.upper().replace('-', '_')}]"


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a character, which JSON can hold
        return text.encode(errors="replace")


@lru_cache(maxsize=MAX_PATTERNS)
def _compile(pattern: str) -> "re2._Regexp":
    options = re2.Options()
    options.max_mem = MAX_MEMORY
    options.log_errors = False
    return re2.compile(pattern, options)


def _matches(compiled: "re2._Regexp", raw: bytes) -> Iterator[Span]:
    return (match.span() for match in compiled.finditer(raw))


def _find(raw: bytes, detector: Detector, marks: Sequence[Span]) -> list[Found]:
    """Return where `detector` finds something that is more than part of a mark; it takes in marks that it touches."""
    places = (
        _own(raw, detector.pattern) if detector.pattern is not None else _builtin(raw, detector)
    )
    if not marks:
        return [Found(start, end, detector) for start, end in places]
    widened = (_widen(place, marks) for place in places)
    return [Found(*place, detector) for place in widened if place is not None]


def _builtin(raw: bytes, detector: Detector) -> Iterator[Span]:
    pattern, confirm = BUILTINS[Builtin(detector.name)]
    return _confirmed(raw, pattern, confirm)


def _confirmed(raw: bytes, pattern: str, confirm: Confirm) -> Iterator[Span]:
    for start, end in _matches(_compile(pattern), raw):
        yield from confirm(raw, start, end)


def _own(raw: bytes, pattern: str) -> Iterator[Span]:
    """Yield matches that are not empty. So many that each may have looked far ahead are taken to go on to the end."""
    for count, (start, end) in enumerate(_matches(_compile(pattern), raw), 1):
        if count > MAX_FOUND:
            yield start, len(raw)
            return
        if start < end:
            yield start, end


def _marks(raw: bytes, rules: GuardRules) -> list[Span]:
    """Return where something was taken out before."""
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
    """Return `place` with the marks that it touches in part; None if it lies within one."""
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


def _redacted(raw: bytes, found: list[Found], rules: GuardRules) -> bytes:
    """Return `raw` without what was found, and without what can be found in what is left."""
    redacting = [d for d in rules.detectors if d.action is Action.REDACT]
    first = found[0].detector
    for _ in range(ROUNDS):
        raw = _replaced(raw, found)
        marks = _marks(raw, rules)
        found = [one for detector in redacting for one in _find(raw, detector, marks)]
        if not found:
            return raw
    return placeholder(first.name).encode()


def _replaced(raw: bytes, found: list[Found]) -> bytes:
    """Put a mark in the place of all that was found; what overlaps gets the mark of the first."""
    pieces, done = [], 0
    for start, end, detector in sorted(found, key=lambda one: (one.start, -one.end)):
        if start >= done:
            pieces += [raw[done:start], placeholder(detector.name).encode()]
        done = max(done, end)
    pieces.append(raw[done:])
    return b"".join(pieces)
