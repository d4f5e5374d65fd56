"""Open holds, and how they lie in pages on the compacted topic. Pure.

A page has the holds of one key that were made after one another: PAGE of them, which end at about the same time. So a
step touches few pages, and a million open holds are some 16,000 records to read.
"""

import heapq
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from crossdock.accounts.state.totals import NOTHING
from crossdock.kernel.process.record import Page
from crossdock_schemas.ids import AccountId, HoldId, KeyId

PREFIX = "held"
PAGE = 64
NEVER = 1 << 32  # beyond what a page has room for
_PLACES = 12
_REST_BYTES = 16
_FORM = struct.Struct("<16s16s16sIIII")
_ENDS = struct.Struct("<16s44xI")
"""Of it the hold, and the time at which it stops."""


class Held(NamedTuple):
    """An open hold."""

    rest: int
    """What it covers still, in 1e-12 USD."""
    spare: int
    """What of it fluid budgets do not count."""
    open: int
    """A bit for each of its lines that has not ended."""
    lost: int
    """A bit for each open line whose last call's end is unknown: it makes no more calls under this hold."""
    day: int
    """Number of the UTC day on which it was made."""
    stop_s: int
    """Unix time from which on no call can run under it any more."""


class Owner(NamedTuple):
    """Whose hold it is."""

    account: AccountId
    key_id: KeyId


def to_units(amount_usd: Decimal) -> int:
    return int(amount_usd.scaleb(_PLACES))


def to_usd(units: int) -> Decimal:
    return Decimal(units).scaleb(-_PLACES) if units else NOTHING


def _raw(hold_id: HoldId) -> bytes:
    return bytes.fromhex(hold_id.rpartition("_")[2])


@dataclass
class KeyHolds:
    """The open holds of one key."""

    pages: dict[int, dict[bytes, Held]] = field(default_factory=dict)
    packed: dict[int, bytes] = field(default_factory=dict)
    """Pages as they were restored, of which nothing was asked yet: a million of holds take their time, and room."""
    where: dict[bytes, int] = field(default_factory=dict)
    """Page number by hold."""
    looked_at: dict[int, int] = field(default_factory=dict)
    """Unix time at which a page is looked at next, for holds that stop, by its number."""
    last: int = 0
    filled: int = 0
    """Holds that were ever put on the last page."""

    def add(self, raw: bytes, held: Held) -> int:
        """Put it on the last page; return that page's number."""
        if self.filled == PAGE:
            self.last, self.filled = self.last + 1, 0
        self.filled += 1
        if self.page(self.last) is None:
            self.pages[self.last] = {}
        self.pages[self.last][raw] = held
        self.where[raw] = self.last
        return self.last

    def drop(self, raw: bytes) -> int:
        number = self.where.pop(raw)
        self.page(number)
        page = self.pages[number]
        del page[raw]
        if not page:
            del self.pages[number]
            self.looked_at.pop(number, None)
        return number

    def find(self, raw: bytes) -> Held | None:
        number = self.where.get(raw)
        page = None if number is None else self.page(number)
        return None if page is None else page[raw]

    def page(self, number: int) -> dict[bytes, Held] | None:
        """Return a page, which is among `pages` from then on; None: it has no holds."""
        value = self.packed.pop(number, None)
        if value is not None:
            self.pages[number] = {
                raw: Held(int.from_bytes(rest), int.from_bytes(spare), *others)
                for raw, rest, spare, *others in _FORM.iter_unpack(value)
            }
        return self.pages.get(number)

    def restore(self, number: int, value: bytes) -> int:
        """Take over a page; return the time at which the first of its holds stops."""
        ends = list(_ENDS.iter_unpack(value))
        self.packed[number] = value
        self.where.update(dict.fromkeys([raw for raw, _ in ends], number))
        if number >= self.last:
            self.last, self.filled = number, len(ends)
        soonest: int = min(stop_s for _, stop_s in ends)
        return soonest


class Holds:
    """The open holds of a partition's accounts."""

    def __init__(self) -> None:
        self._keys: dict[Owner, KeyHolds] = {}
        self._changed: set[tuple[Owner, int]] = set()
        self._stops: list[tuple[int, Owner, int]] = []
        """A heap of when pages are looked at: the first entry of a page counts, and others do no harm."""

    def __len__(self) -> int:
        return sum(len(holds.where) for holds in self._keys.values())

    def find(self, owner: Owner, hold_id: HoldId) -> Held | None:
        holds = self._keys.get(owner)
        return None if holds is None else holds.find(_raw(hold_id))

    def add(self, owner: Owner, hold_id: HoldId, held: Held) -> None:
        holds = self._keys.setdefault(owner, KeyHolds())
        number = holds.add(_raw(hold_id), held)
        self._changed.add((owner, number))
        self._look(owner, holds, number, held.stop_s)

    def _look(self, owner: Owner, holds: KeyHolds, number: int, stop_s: int) -> None:
        """A hold of that page stops at `stop_s`."""
        if stop_s < holds.looked_at.get(number, NEVER):
            holds.looked_at[number] = stop_s
            heapq.heappush(self._stops, (stop_s, owner, number))

    def put(self, owner: Owner, hold_id: HoldId, held: Held) -> None:
        """Change an open hold; one without open lines is gone."""
        holds, raw = self._keys[owner], _raw(hold_id)
        if held.open:
            number = holds.where[raw]
            holds.page(number)
            holds.pages[number][raw] = held
            self._look(owner, holds, number, held.stop_s)
        else:
            number = holds.drop(raw)
        self._changed.add((owner, number))

    def take_stopped(self, now_s: int) -> Iterator[tuple[Owner, HoldId, Held]]:
        """Yield the holds that nobody ended in time; they are gone."""
        while self._stops and self._stops[0][0] <= now_s:
            _, owner, number = heapq.heappop(self._stops)
            holds = self._keys[owner]
            holds.looked_at.pop(number, None)
            for raw, held in list((holds.page(number) or {}).items()):
                if held.stop_s <= now_s:
                    holds.drop(raw)
                    self._changed.add((owner, number))
                    yield owner, HoldId(f"hold_{raw.hex()}"), held
            page = holds.page(number)
            if page:
                self._look(owner, holds, number, min(held.stop_s for held in page.values()))

    def finish(self) -> list[Page]:
        """Return the pages that changed since the last call."""
        changed, self._changed = self._changed, set()
        return [
            Page(_key(owner, number), _value(self._keys[owner].pages.get(number)))
            for owner, number in sorted(changed)
        ]

    def restore(self, pages: list[Page]) -> None:
        """Take over pages under `held/`."""
        for key, value in pages:
            if value is not None:
                _, account, key_id, number = key.decode().split("/")
                owner = Owner(AccountId(account), KeyId(key_id))
                holds = self._keys.setdefault(owner, KeyHolds())
                self._look(owner, holds, int(number), holds.restore(int(number), value))


def _value(page: dict[bytes, Held] | None) -> bytes | None:
    if not page:
        return None
    return b"".join(
        _FORM.pack(raw, rest.to_bytes(_REST_BYTES), spare.to_bytes(_REST_BYTES), *others)
        for raw, (rest, spare, *others) in page.items()
    )


def _key(owner: Owner, number: int) -> bytes:
    return f"{PREFIX}/{owner.account}/{owner.key_id}/{number}".encode()


def is_own(key: bytes) -> bool:
    """Say whether a page of the partition's state belongs here."""
    return key.startswith(b"held/")
