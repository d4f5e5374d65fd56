"""Finds sensitive data in requests: counts it, removes it, or blocks the request. Pure.

Each text of the body is read by itself, then the seams of texts that follow each other: a number may be split over two
parts of a message. Findings are reported as numbers by detector, never as text.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from crossdock.kernel.process.patterns import PatternError, compile_pattern
from crossdock.kernel.requests.scanning import MAX_PROGRAM, ROUNDS, TimeSlice, TooSlowError, scan
from crossdock.kernel.requests.seams import Seams
from crossdock.kernel.requests.text_fields import Json, Place, rewrite
from crossdock_schemas.accounts.content_filter import Detector, GuardRules

MAX_POLICY_PROGRAM = 5000  # instructions of all patterns of a policy
SAMPLES = ("", "a", " a ", "a1-@. B\n", "0 0")
"""A valid pattern matches none of these at an empty place."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """The outcome for the body of a request."""

    body: Json
    """The same object if nothing was removed, or if it is blocked."""
    findings: Mapping[str, int]
    blocking: Detector | None = None
    """The detector that blocks the request, or None."""
    is_too_slow: bool = False
    """Whether it blocks because it needs more time than there is."""


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
    found = (match.span() for text in SAMPLES for match in compiled.finditer(text.encode()))
    if any(start == end for start, end in found):
        return "it matches where there is nothing"
    return None


def why_too_large(patterns: Iterable[str]) -> str | None:
    """Return why the valid patterns of one policy are too much together; None if they are not."""
    size = sum(compile_pattern(pattern).programsize for pattern in patterns)
    if size <= MAX_POLICY_PROGRAM:
        return None
    return f"they are too large together: {size} instructions, {MAX_POLICY_PROGRAM} at most"


def guard(body: Json, rules: GuardRules, left: TimeSlice | None = None) -> Guarded:
    """Apply `rules` to the texts of `body`; remove the findings that are to be redacted."""
    looking = _Looking(rules, left or TimeSlice())
    try:
        return looking.guarded(body)
    except TooSlowError as error:
        return Guarded(body, looking.findings, error.detector, is_too_slow=True)
    except RecursionError:  # JSON within JSON, both as deep as they may be
        return Guarded(body, looking.findings, rules.detectors[0], is_too_slow=True)


class _Looking:
    """One body, while it is looked at."""

    def __init__(self, rules: GuardRules, left: TimeSlice) -> None:
        self._rules = rules
        self._left = left
        self._places: list[Place] = []
        self.findings: Counter[str] = Counter()
        self._blocking: list[Detector] = []

    def guarded(self, body: Json) -> Guarded:
        texts: list[str] = []
        rewrite(body, lambda text, place: self._note(text, place, texts))
        clean = self._without_seams(
            [self._scanned(*one) for one in zip(texts, self._places, strict=True)]
        )
        if self._blocking:
            return Guarded(body, self.findings, self._blocking[0])
        if all(new is text for new, text in zip(clean, texts, strict=True)):
            return Guarded(body, self.findings)
        renewed = iter(clean)
        return Guarded(rewrite(body, lambda *_: next(renewed)), self.findings)

    def _note(self, text: str, place: Place, texts: list[str]) -> str:
        texts.append(text)
        self._places.append(place)
        return text

    def _scanned(self, text: str, place: Place) -> str:
        found = scan(text, self._rules, self._left, is_word=place.is_word)
        if not found.findings:
            return text
        self.findings.update(found.findings)
        if found.blocking is not None:
            self._blocking.append(found.blocking)
        return found.text

    def _without_seams(self, texts: list[str]) -> Sequence[str]:
        """Return the texts without what is split over several of them."""
        for number in range(ROUNDS + 1):
            seams = Seams(texts, self._places, self._rules, self._left)
            found = seams.find()
            self.findings.update({} if number else found)
            self._blocking += seams.blocking
            if not seams.redacted:
                break
            for at, text in seams.redacted.items():
                clean = scan(text, self._rules, self._left).text
                texts[at] = clean if number < ROUNDS else seams.marks[at]
        return texts
