"""A text as the built-in detectors read it: as it is, and without disguises. Pure.

A view holds the neighbourhoods of what it changed, and knows the place of each of its bytes in the text.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from crossdock.kernel.process.patterns import OWN_MEMORY, compile_pattern
from crossdock.kernel.requests.disguises import DISGUISED, plain

Span = tuple[int, int]
NEAR = 96  # bytes of a neighbourhood, before and after a change; findings are shorter, but for long addresses
CUT = b"\xff"  # between two neighbourhoods: no character of a text
_WIDE = r"(?:[ \-./:]*[\t\n\r\f\v][\s\-./:]*|[ \-./:]{2,}[\s\-./:]*)"
_BREAK = r"(?:[ \t]*[\r\n]\s*)"
_WIDE_BESIDE_DIGIT, _BREAK_BESIDE_DIGIT = (
    rf"[0-9]{gap}|[A-Za-z)]{gap}[0-9]" for gap in (_WIDE, _BREAK)
)
_SINGLE = r"(?:\b[0-9A-Za-z][ \-._/\t\r\n]{1,3}){7,}[0-9A-Za-z]\b"
_SOME = rf"{DISGUISED}|[0-9]{_WIDE}(?:[0-9(+]|[A-Z][A-Z0-9])|[A-Z)]{_WIDE}[0-9]|{_SINGLE}"
"""Matches in every text that has a view; quicker than to look for each kind."""
_BETWEEN = " -._/\t\r\n"
MIN_SINGLE_DIGITS = 7
_ESCAPES = {"\\n": "\n", "\\r": "\r", "\\t": "\t"}


Check = Callable[[], None]
CHANGES = 256  # between two checks


class Change(NamedTuple):
    """Bytes of a view that stand for others."""

    start: int
    end: int
    new: bytes


class View:
    """A text, or what a change made of the text of another view."""

    def __init__(self, raw: bytes, parent: "View | None" = None) -> None:
        self.raw = raw
        self._parent = parent
        self._starts: list[int] = []
        self._origins: list[tuple[int, int, bool]] = []

    def origin(self, start: int, end: int) -> Span:
        """Return the place in the text of a place in this view."""
        if self._parent is None:
            return start, end
        return self._parent.origin(self._at(start)[0], self._at(end - 1)[1])

    def _at(self, place: int) -> Span:
        number = bisect_right(self._starts, place) - 1
        start, end, is_copy = self._origins[number]
        if not is_copy:
            return start, end
        at = start + place - self._starts[number]
        return at, at + 1

    def changed(self, changes: Iterable[Change]) -> "View | None":
        """Return the neighbourhoods of `changes` with these made; None without any."""
        view = View(b"", self)
        pieces: list[bytes] = []
        size = done = 0

        def put(piece: bytes, start: int, end: int, *, is_copy: bool) -> None:
            nonlocal size
            view._starts.append(size)
            view._origins.append((start, end, is_copy))
            pieces.append(piece)
            size += len(piece)

        for change in changes:
            if pieces and change.start - done > 2 * NEAR:
                put(self.raw[done : done + NEAR], done, done + NEAR, is_copy=True)
            if not pieces or change.start - done > 2 * NEAR:
                done = max(done, change.start - NEAR)
                put(CUT, done, done, is_copy=False)
            put(self.raw[done : change.start], done, change.start, is_copy=True)
            put(change.new, change.start, change.end, is_copy=False)
            done = change.end
        if not pieces:
            return None
        put(self.raw[done : done + NEAR], done, done + NEAR, is_copy=True)
        view.raw = b"".join(pieces)
        return view


def plain_views(text: View, check: Check = lambda: None) -> Iterator[View]:
    """Yield what `text` is without disguises, if it has any; letters once as they are, and once undisguised too.

    `check` is called often, and may raise.
    """
    if compile_pattern(_SOME, OWN_MEMORY).search(text.raw) is None:
        return
    changes = [*_checked(_undisguised(text.raw), check)]
    kept = [change for change in changes if not change.new.isalpha()]
    views = [text.changed(kept)]
    views += [text.changed(changes)] if len(kept) < len(changes) else []
    for view in _different(*views):
        yield view
        yield from _respaced(view, check)
    yield from _respaced(text, check)


def _checked(changes: Iterable[Change], check: Check) -> Iterator[Change]:
    for number, change in enumerate(changes):
        if not number % CHANGES:
            check()
        yield change


def _different(*views: View | None) -> Iterator[View]:
    found = {view.raw: view for view in views if view is not None}
    yield from found.values()


def _respaced(view: View, check: Check) -> Iterator[View]:
    """Yield a view with other spaces between digits: single ones, no breaks of lines, none between single digits."""
    changes = (_single_spaced, _unbroken, _closed_up)
    yield from _different(*(view.changed(_checked(change(view.raw), check)) for change in changes))


def _undisguised(raw: bytes) -> Iterator[Change]:
    for found in compile_pattern(DISGUISED, OWN_MEMORY).finditer(raw):
        start, end = found.span()
        if b" " < raw[start : start + 1] < b"\x7f" and raw[start : start + 2] != b"\\u":
            start += 1 + (raw[start + 1 : start + 2] == b" ")
        text = raw[start:end].decode(errors="replace")
        if not _may_matter(raw, start, end, text):
            continue
        for char, written in _characters(text):
            size, new = len(written.encode()), plain(char)
            if new != written:
                yield Change(start, start + size, new.encode(errors="replace"))
            start += size


def _may_matter(raw: bytes, start: int, end: int, text: str) -> bool:
    """Return whether a run of disguised characters may be part of a number, a code or an address."""
    new = plain(text) if len(text) == 1 else "".join(plain(one) for one, _ in _characters(text))
    if any(one.isalnum() or one in "@+" for one in new) or _joins(raw, start, end):
        return True
    return raw.find(b"@", max(0, start - NEAR), end + NEAR) >= 0


def _joins(raw: bytes, start: int, end: int) -> bool:
    """Return whether a run is beside a digit, or between capitals."""
    before, after = raw[max(0, start - 2) : start].rstrip()[-1:], raw[end : end + 2].lstrip()[:1]
    is_digit = before.isdigit() or after.isdigit()
    return (is_digit and after > b" ") or (before.isupper() and after.isupper())


def _characters(text: str) -> Iterator[tuple[str, str]]:
    """Yield each character, and how it is written: JSON may escape it."""
    at = 0
    while at < len(text):
        written = text[at]
        if written == "\\":
            written = text[at : at + (6 if text[at + 1] == "u" else 2)]
            yield _ESCAPES.get(written) or _unescaped(written), written
        else:
            yield written, written
        at += len(written)


def _unescaped(written: str) -> str:
    char = chr(int(written.removeprefix("\\u"), base=16))
    return written if "\ud800" <= char <= "\udfff" else char


def _single_spaced(raw: bytes) -> Iterator[Change]:
    """Yield gaps beside digits that are wider than one separator, or break a line."""
    for start, end in _gaps(raw, _WIDE_BESIDE_DIGIT):
        gap = raw[start:end]
        mark = gap.split()[0][:1] if gap.strip() else b" "
        yield Change(start, end, mark)


def _unbroken(raw: bytes) -> Iterator[Change]:
    return (Change(start, end, b"") for start, end in _gaps(raw, _BREAK_BESIDE_DIGIT))


def _gaps(raw: bytes, pattern: str) -> Iterator[Span]:
    """Yield the gaps that have a digit on one side, and a digit or a code's capitals on the other."""
    for found in compile_pattern(pattern).finditer(raw):
        start, end = found.start() + 1, found.end()
        end -= raw[end - 1 : end].isdigit()
        before, after = raw[max(0, start - 2) : start], raw[end : end + 2]
        is_before = before[-1:].isdigit() or before[-1:] == b")" or _is_code(before)
        if is_before and (after[:1].isdigit() or after[:1] in {b"(", b"+"} or _is_code(after)):
            yield start, end


def _is_code(text: bytes) -> bool:
    return text.isalnum() and not any(97 <= byte <= 122 for byte in text)  # noqa: PLR2004  # a to z


def _closed_up(raw: bytes) -> Iterator[Change]:
    """Yield the gaps of characters that each stand alone, if most of them are digits."""
    for found in compile_pattern(_SINGLE).finditer(raw):
        row, (at, _) = found[0], found.span()
        if sum(map(row.count, (b"%d" % digit for digit in range(10)))) < MIN_SINGLE_DIGITS:
            continue
        gap = None
        for place in range(len(row) + 1):
            is_gap = place < len(row) and chr(row[place]) in _BETWEEN
            if is_gap and gap is None:
                gap = place
            elif not is_gap and gap is not None:
                yield Change(at + gap, at + place, b"")
                gap = None
