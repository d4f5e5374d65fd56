"""Which calls are in the books already. Pure.

A call's row comes twice where its worker died, or was taken for dead, between telling of it and telling that its line
had ended: then its heir supposes a row of unknown end under the same execution id. That concerns calls of the last
moments of a worker's life, so the last ones of each life are remembered, and all of unknown end.
"""

import json
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from crossdock.kernel.process.record import Page
from crossdock.kernel.runtime.shard.page_store import Codec, PageStore
from crossdock_schemas.calls.usage import CallOutcome, Charge

CHUNK = 256
CHUNKS = 16  # 4096 calls of a life; 640 are in flight at once, and a group is told every 30 ms
MAX_LIVES = 256
MAX_UNKNOWN = 100_000
_BYTES = 8  # of an execution id's hash; two of one life share them once in 10^13


@dataclass
class Life:
    """The latest calls of one life of a worker."""

    known: set[bytes] = field(default_factory=set)
    place: int = 0
    """Number of the chunk that is being filled."""


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


def _text(supposed: Supposed) -> bytes:
    amount, day, marks, tokens = supposed
    return f"{amount} {day} {tokens} {json.dumps(marks, ensure_ascii=False)}".encode()


def _supposed(value: bytes) -> Supposed:
    """Return what `_text` said; an older page tells amount and day alone."""
    amount, day, tokens, marks = (*value.decode().split(" ", 3), "0", "[]")[:4]
    return Supposed(Decimal(amount), int(day), tuple(json.loads(marks)), int(tokens))


def _chunk_name(key: tuple[str, int]) -> str:
    return f"{key[0]}/{key[1]}"


def _chunk_key(name: str) -> tuple[str, int]:
    claim, number = name.split("/")
    return claim, int(number)


class Recent:
    """Tells what a row adds to the books: all of it, a difference, or nothing."""

    def __init__(self) -> None:
        self._lives: OrderedDict[str, Life] = OrderedDict()
        self.chunks = PageStore("recent", Codec(_chunk_name, _chunk_key, bytes, bytes))
        """A ring of CHUNKS pages for each life."""
        self.unknown = PageStore("unknown", Codec(str, str, _text, _supposed))

    def take(self, usage: Charge, day: int, marks: tuple[str, ...] = ()) -> Taken | None:
        """Return what `usage`, which counts on `day` and for `marks`, adds to the books; None: it is known.

        As in the table of calls: what a worker tells of its own call wins over what others suppose, the first of each
        counts. The truth about a supposed row counts where that row did.
        """
        call = bytes.fromhex(usage.execution_id[-2 * _BYTES :])
        life = self._lives.get(usage.claim)
        if life is not None and call in life.known:
            return None
        supposed = self.unknown.find(usage.execution_id)
        amount, tokens = usage.cost.total, usage.tokens.total
        if usage.outcome is CallOutcome.UNKNOWN:
            if supposed is not None:
                return None
            self._suppose(usage.execution_id, Supposed(amount, day, marks, tokens))
            return Taken(amount, day, marks, is_correction=False, tokens=tokens)
        self._remember(usage.claim, call)
        if supposed is None:
            return Taken(amount, day, marks, is_correction=False, tokens=tokens)
        self.unknown.take(usage.execution_id)
        left, more = amount - supposed.amount_usd, tokens - supposed.tokens
        return Taken(left, supposed.day, supposed.marks, is_correction=True, tokens=more)

    def _remember(self, claim: str, call: bytes) -> None:
        life = self._lives.setdefault(claim, Life())
        self._lives.move_to_end(claim)
        chunk = self.chunks.find((claim, life.place)) or b""
        if len(chunk) == CHUNK * _BYTES:
            life.place = (life.place + 1) % CHUNKS
            life.known -= set(_cut(self.chunks.find((claim, life.place)) or b""))
            chunk = b""
        self.chunks.put((claim, life.place), chunk + call)
        life.known.add(call)
        while len(self._lives) > MAX_LIVES:
            gone, _ = self._lives.popitem(last=False)
            for number in range(CHUNKS):
                self.chunks.take((gone, number))

    def _suppose(self, execution: str, supposed: Supposed) -> None:
        self.unknown.put(execution, supposed)
        while len(self.unknown) > MAX_UNKNOWN:
            self.unknown.take(next(iter(self.unknown)))

    def restore(self, pages: Sequence[Page]) -> None:
        """Take over own pages, and go on behind the chunk that is not full, or, if all are, anywhere."""
        self.unknown.restore(pages)
        for (claim, number), chunk in self.chunks.restore(pages).items():
            life = self._lives.setdefault(claim, Life())
            life.known.update(_cut(chunk))
            if len(chunk) < CHUNK * _BYTES:
                life.place = number
