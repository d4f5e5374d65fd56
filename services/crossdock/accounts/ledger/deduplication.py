"""Deduplication: which calls are booked already. Pure.

A charge comes twice if its worker died, or was presumed dead, after it reported the call and before it reported the end
of the line: the worker that takes over then assumes a charge of unknown end under the same execution id. This concerns
the last calls of a worker's life, so the latest calls of each life are remembered, and all calls of unknown end.
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
from crossdock_schemas.money import Units, to_units, to_usd, usd_text

CHUNK = 256
CHUNKS = 16  # 4096 calls of a life; 640 are in flight at once, and a group is reported every 30 ms
MAX_LIVES = 256
MAX_UNKNOWN = 100_000
_BYTES = 8  # of an execution id's hash; two of one life share them once in 10^13


@dataclass
class WorkerLife:
    """The latest calls of one life of a worker."""

    known: set[bytes] = field(default_factory=set)
    place: int = 0
    """Number of the chunk that is being filled."""


def _cut(value: bytes) -> Iterator[bytes]:
    return (value[at : at + _BYTES] for at in range(0, len(value), _BYTES))


class AssumedCall(NamedTuple):
    """The booking of a call of unknown end: its day decides the windows, its scopes are its attribution."""

    cost: Units
    day: int
    scopes: tuple[str, ...] = ()
    tokens: int = 0


class Addition(NamedTuple):
    """The amount that a charge adds to the books."""

    cost: Units
    day: int
    scopes: tuple[str, ...]
    is_correction: bool
    tokens: int = 0
    """Below 0 if fewer were used than assumed."""


def _pack(call: AssumedCall) -> bytes:
    scopes = json.dumps(call.scopes, ensure_ascii=False)
    return f"{usd_text(to_usd(call.cost))} {call.day} {call.tokens} {scopes}".encode()


def _unpack(value: bytes) -> AssumedCall:
    """Older pages have the cost and the day only."""
    cost_usd, day, tokens, scopes = (*value.decode().split(" ", 3), "0", "[]")[:4]
    return AssumedCall(
        to_units(Decimal(cost_usd)), int(day), tuple(json.loads(scopes)), int(tokens)
    )


def _chunk_key(claim: str, number: str) -> tuple[str, int]:
    return claim, int(number)


class BookedCalls:
    """Finds what a charge adds to the books: all of it, a difference, or nothing."""

    def __init__(self) -> None:
        self._lives: OrderedDict[str, WorkerLife] = OrderedDict()
        self.chunks = PageStore("recent", Codec(_chunk_key, bytes, bytes))
        """A ring of CHUNKS pages for each life."""
        self.unknown = PageStore("unknown", Codec(str, _pack, _unpack))

    def add(self, charge: Charge, day: int, scopes: tuple[str, ...] = ()) -> Addition | None:
        """Return what `charge`, on `day` and attributed to `scopes`, adds to the books; None: it is booked already.

        As in the table of calls, a worker's own report takes precedence over an assumed one, and the first of each
        counts. A report after an assumed one counts on the day and for the scopes of that one.
        """
        call = bytes.fromhex(charge.execution_id[-2 * _BYTES :])
        life = self._lives.get(charge.claim)
        if life is not None and call in life.known:
            return None
        assumed = self.unknown.find(charge.execution_id)
        cost, tokens = to_units(charge.cost.total), charge.tokens.total
        if charge.outcome is CallOutcome.UNKNOWN:
            if assumed is not None:
                return None
            self._assume(charge.execution_id, AssumedCall(cost, day, scopes, tokens))
            return Addition(cost, day, scopes, is_correction=False, tokens=tokens)
        self._remember(charge.claim, call)
        if assumed is None:
            return Addition(cost, day, scopes, is_correction=False, tokens=tokens)
        self.unknown.take(charge.execution_id)
        more, more_tokens = cost - assumed.cost, tokens - assumed.tokens
        return Addition(more, assumed.day, assumed.scopes, is_correction=True, tokens=more_tokens)

    def _remember(self, claim: str, call: bytes) -> None:
        life = self._lives.setdefault(claim, WorkerLife())
        self._lives.move_to_end(claim)
        chunk = self.chunks.find((claim, life.place)) or b""
        if len(chunk) == CHUNK * _BYTES:
            life.place = (life.place + 1) % CHUNKS
            life.known -= set(_cut(self.chunks.find((claim, life.place)) or b""))
            chunk = b""
        self.chunks.put((claim, life.place), chunk + call)
        life.known.add(call)
        while len(self._lives) > MAX_LIVES:
            oldest, _ = self._lives.popitem(last=False)
            for number in range(CHUNKS):
                self.chunks.take((oldest, number))

    def _assume(self, execution: str, call: AssumedCall) -> None:
        self.unknown.put(execution, call)
        while len(self.unknown) > MAX_UNKNOWN:
            self.unknown.take(next(iter(self.unknown)))

    def restore(self, pages: Sequence[Page]) -> None:
        """Take over own pages. A ring continues at its chunk that is not full, or, if all are full, anywhere."""
        self.unknown.restore(pages)
        for (claim, number), chunk in self.chunks.restore(pages).items():
            life = self._lives.setdefault(claim, WorkerLife())
            life.known.update(_cut(chunk))
            if len(chunk) < CHUNK * _BYTES:
                life.place = number
