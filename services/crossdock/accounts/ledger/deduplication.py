"""Which calls are in the books already. Pure.

A call's row comes twice where its worker died, or was taken for dead, between telling of it and telling that its line
had ended: then its heir supposes a row of unknown end under the same execution id. That concerns calls of the last
moments of a worker's life, so the last ones of each life are remembered, and all of unknown end.
"""

import json
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from crossdock.kernel.process.record import Page
from crossdock_schemas.calls.usage import CallOutcome, Charge

PREFIX = "recent"
UNKNOWN = "unknown"
CHUNK = 256
CHUNKS = 16  # 4096 calls of a life; 640 are in flight at once, and a group is told every 30 ms
MAX_LIVES = 256
MAX_UNKNOWN = 100_000
_BYTES = 8  # of an execution id's hash; two of one life share them once in 10^13


@dataclass
class Life:
    """The latest calls of one life of a worker, in a ring of chunks."""

    chunks: list[bytes] = field(default_factory=lambda: [b""] * CHUNKS)
    known: set[bytes] = field(default_factory=set)
    place: int = 0

    def add(self, call: bytes) -> int:
        """Remember `call`; return the number of the chunk that changed."""
        if len(self.chunks[self.place]) == CHUNK * _BYTES:
            self.place = (self.place + 1) % CHUNKS
            self.known -= set(_cut(self.chunks[self.place]))
            self.chunks[self.place] = b""
        self.chunks[self.place] += call
        self.known.add(call)
        return self.place

    def restore(self, place: int, value: bytes) -> None:
        self.chunks[place] = value
        self.known |= set(_cut(value))

    def go_on(self) -> None:
        """After `restore`: go on behind the chunk that is not full, or, if all are, anywhere."""
        full = CHUNK * _BYTES
        self.place = next((n for n, chunk in enumerate(self.chunks) if 0 < len(chunk) < full), 0)


def _cut(value: bytes) -> Iterator[bytes]:
    return (value[at : at + _BYTES] for at in range(0, len(value), _BYTES))


class Supposed(NamedTuple):
    """What was booked for a call of unknown end, the day whose windows it counts in, and what else it counts for."""

    amount_usd: Decimal
    day: int
    marks: tuple[str, ...] = ()
    tokens: int = 0


class Taken(NamedTuple):
    """What a row adds to the books."""

    amount_usd: Decimal
    day: int
    marks: tuple[str, ...]
    is_correction: bool
    tokens: int = 0
    """Used; below 0 where less was used than supposed."""


class Recent:
    """Tells what a row adds to the books: all of it, a difference, or nothing."""

    def __init__(self) -> None:
        self._lives: OrderedDict[str, Life] = OrderedDict()
        self._unknown: OrderedDict[str, Supposed] = OrderedDict()
        self._changed: dict[bytes, bytes | None] = {}

    def take(self, usage: Charge, day: int, marks: tuple[str, ...] = ()) -> Taken | None:
        """Return what `usage`, which counts on `day` and for `marks`, adds to the books; None: it is known.

        As in the table of calls: what a worker tells of its own call wins over what others suppose, the first of each
        counts. The truth about a supposed row counts where that row did.
        """
        call = bytes.fromhex(usage.execution_id[-2 * _BYTES :])
        life = self._lives.get(usage.claim)
        if life is not None and call in life.known:
            return None
        supposed = self._unknown.get(usage.execution_id)
        amount, tokens = usage.cost.total, usage.tokens.total
        if usage.outcome is CallOutcome.UNKNOWN:
            if supposed is not None:
                return None
            self._suppose(usage.execution_id, Supposed(amount, day, marks, tokens))
            return Taken(amount, day, marks, is_correction=False, tokens=tokens)
        self._remember(usage.claim, call)
        if supposed is None:
            return Taken(amount, day, marks, is_correction=False, tokens=tokens)
        self._forget(usage.execution_id)
        left, more = amount - supposed.amount_usd, tokens - supposed.tokens
        return Taken(left, supposed.day, supposed.marks, is_correction=True, tokens=more)

    def _remember(self, claim: str, call: bytes) -> None:
        life = self._lives.setdefault(claim, Life())
        self._lives.move_to_end(claim)
        place = life.add(call)
        self._changed[_key(claim, place)] = life.chunks[place]
        while len(self._lives) > MAX_LIVES:
            gone, _ = self._lives.popitem(last=False)
            self._changed |= {_key(gone, number): None for number in range(CHUNKS)}

    def _suppose(self, execution: str, supposed: Supposed) -> None:
        self._unknown[execution] = supposed
        self._changed[f"{UNKNOWN}/{execution}".encode()] = _text(supposed)
        while len(self._unknown) > MAX_UNKNOWN:
            self._forget(next(iter(self._unknown)))

    def _forget(self, execution: str) -> None:
        del self._unknown[execution]
        self._changed[f"{UNKNOWN}/{execution}".encode()] = None

    def finish(self) -> list[Page]:
        """Return the pages that changed since the last call."""
        changed, self._changed = self._changed, {}
        return [Page(key, value) for key, value in changed.items()]

    def restore(self, pages: list[Page]) -> None:
        """Take over pages under `recent/` and `unknown/`."""
        for key, value in pages:
            kind, name, number = (*key.decode().split("/"), "")[:3]
            if value is None:
                continue
            if kind == UNKNOWN:
                self._unknown[name] = _supposed(value)
            else:
                self._lives.setdefault(name, Life()).restore(int(number), value)
        for life in self._lives.values():
            life.go_on()


def _text(supposed: Supposed) -> bytes:
    amount, day, marks, tokens = supposed
    return f"{amount} {day} {tokens} {json.dumps(marks, ensure_ascii=False)}".encode()


def _supposed(value: bytes) -> Supposed:
    """Return what `_text` said; an older page tells amount and day alone."""
    amount, day, tokens, marks = (*value.decode().split(" ", 3), "0", "[]")[:4]
    return Supposed(Decimal(amount), int(day), tuple(json.loads(marks)), int(tokens))


def _key(claim: str, place: int) -> bytes:
    return f"{PREFIX}/{claim}/{place}".encode()


def is_own(key: bytes) -> bool:
    """Say whether a page of the partition's state belongs here."""
    return key.startswith((b"recent/", b"unknown/"))
