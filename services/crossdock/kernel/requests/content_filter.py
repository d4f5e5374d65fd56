"""Finds sensitive data in requests: counts it, removes it, or blocks the request. Pure.

Patterns are RE2's, whose time is linear, because tenants write them. Findings are reported as numbers by detector,
never as text.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from crossdock.kernel.process.patterns import Pattern, PatternError, compile_pattern
from crossdock.kernel.requests.detectors import BUILTINS, Confirm, Span
from crossdock.kernel.requests.text_fields import Json, rewrite
from crossdock_schemas.accounts.content_filter import Action, Builtin, Detector, GuardRules

MAX_PROGRAM = 2000  # instructions of a pattern; the worst takes 3 us for each and kB of text
MAX_FOUND = (
    200  # matches of a tenant's pattern in one text; the last extends to the end of the text
)
ROUNDS = (
    4  # a removal can make a pattern match again; after the last round the whole text is removed
)
SAMPLES = ("", "a", " a ", "a1-@. B\n", "0 0")
"""A valid pattern matches none of these at an empty place."""


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


@dataclass(frozen=True, slots=True)
class Guarded:
    """The outcome for the body of a request."""

    body: Json
    """The same object if nothing was removed, or if it is blocked."""
    findings: Mapping[str, int]
    blocking: Detector | None = None
    """The detector that blocks the request, or None."""


def why_unsound(pattern: str) -> str | None:
    """Return why a tenant's pattern is invalid; None if it is valid."""
    try:
        compiled = compile_pattern(pattern)
    except PatternError as error:
        reason = error.args[0] if error.args else ""
        return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
    except UnicodeEncodeError:
        return "it holds half a character"
    if compiled.programsize > MAX_PROGRAM:
        return f"it is too large: {compiled.programsize} instructions, {MAX_PROGRAM} at most"
    if any(start == end for text in SAMPLES for start, end in _matches(compiled, text.encode())):
        return "it matches where there is nothing"
    return None


def guard(body: Json, rules: GuardRules) -> Guarded:
    """Apply `rules` to the texts of `body`; remove the findings that are to be redacted."""
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
    """Apply `rules` to `text`; remove the findings that are to be redacted. Findings that block stay."""
    raw = _encoded(text)
    marks = _marks(raw, rules)
    found: list[tuple[Detector, list[Match]]] = []
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
    """Return the mark that replaces a finding."""
    return f"[{name.upper().replace('-', '_')}]"


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a character, which JSON can hold
        return text.encode(errors="replace")


def _matches(compiled: Pattern, raw: bytes) -> Iterator[Span]:
    return (match.span() for match in compiled.finditer(raw))


def _find(raw: bytes, detector: Detector, marks: Sequence[Span]) -> list[Match]:
    """Return the matches of `detector` outside of marks; a match includes the marks that it touches."""
    pattern = detector.pattern
    places = _builtin(raw, detector) if pattern is None else _tenants(raw, pattern)
    if not marks:
        return [Match(start, end, detector) for start, end in places]
    widened = (_widen(place, marks) for place in places)
    return [Match(*place, detector) for place in widened if place is not None]


def _builtin(raw: bytes, detector: Detector) -> Iterator[Span]:
    pattern, confirm = BUILTINS[Builtin(detector.name)]
    return _confirmed(raw, pattern, confirm)


def _confirmed(raw: bytes, pattern: str, confirm: Confirm) -> Iterator[Span]:
    for start, end in _matches(compile_pattern(pattern), raw):
        yield from confirm(raw, start, end)


def _tenants(raw: bytes, pattern: str) -> Iterator[Span]:
    """Yield matches that are not empty. After `MAX_FOUND`, as each may look far ahead, one match covers the rest."""
    for count, (start, end) in enumerate(_matches(compile_pattern(pattern), raw), 1):
        if count > MAX_FOUND:
            yield start, len(raw)
            return
        if start < end:
            yield start, end


def _marks(raw: bytes, rules: GuardRules) -> list[Span]:
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


def _redacted(raw: bytes, found: list[Match], rules: GuardRules) -> bytes:
    """Return `raw` without the findings, and without the findings in the rest."""
    redacting = [d for d in rules.detectors if d.action is Action.REDACT]
    first = found[0].detector
    for _ in range(ROUNDS):
        raw = _replaced(raw, found)
        marks = _marks(raw, rules)
        found = [one for detector in redacting for one in _find(raw, detector, marks)]
        if not found:
            return raw
    return placeholder(first.name).encode()


def _replaced(raw: bytes, found: list[Match]) -> bytes:
    """Replace each finding by a mark; overlapping findings get the mark of the first."""
    pieces, done = [], 0
    for start, end, detector in sorted(found, key=lambda one: (one.start, -one.end)):
        if start >= done:
            pieces += [raw[done:start], placeholder(detector.name).encode()]
        done = max(done, end)
    pieces.append(raw[done:])
    return b"".join(pieces)
