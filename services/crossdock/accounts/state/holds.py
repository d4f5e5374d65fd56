"""Open holds, and how they lie in pages on the compacted topic. Pure.

A page has the holds of one key that were made after one another: PAGE of them, which end at about the same time. So a
step touches few pages, and a million open holds are some 16,000 records to read.
"""

import heapq
import struct
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import NamedTuple

from crossdock.accounts.state.totals import NOTHING
from crossdock.kernel.process.record import Page
from crossdock.kernel.runtime.shard.page_store import Codec, GroupedPages, PageStore
from crossdock_schemas.ids import AccountId, HoldId, KeyId

PAGE = 64
NEVER = 1 << 32  # beyond what a page has room for
_PLACES = 12
_REST_BYTES = 16
_FORM = struct.Struct("<16s16s16sIIII")
_NAMES = struct.Struct("<16s48x")
_STOPS = struct.Struct("<60xI")


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


def _names(value: bytes) -> list[bytes]:
    """Return the holds of a packed page."""
    return [raw for (raw,) in _NAMES.iter_unpack(value)]


def _soonest_stop_s(value: bytes) -> int:
    """Return when the first hold of a packed page stops."""
    soonest: int = min(stop_s for (stop_s,) in _STOPS.iter_unpack(value))
    return soonest


def _pack(page: dict[bytes, Held]) -> bytes:
    return b"".join(
        _FORM.pack(raw, rest.to_bytes(_REST_BYTES), spare.to_bytes(_REST_BYTES), *others)
        for raw, (rest, spare, *others) in page.items()
    )


def _unpack(value: bytes) -> dict[bytes, Held]:
    return {
        raw: Held(int.from_bytes(rest), int.from_bytes(spare), *others)
        for raw, rest, spare, *others in _FORM.iter_unpack(value)
    }


def _page_name(key: tuple[Owner, int]) -> str:
    owner, number = key
    return f"{owner.account}/{owner.key_id}/{number}"


def _page_key(name: str) -> tuple[Owner, int]:
    account, key_id, number = name.split("/")
    return Owner(AccountId(account), KeyId(key_id)), int(number)


class Holds:
    """The open holds of a partition's accounts."""

    def __init__(self) -> None:
        pages = PageStore("held", Codec(_page_name, _page_key, _pack, _unpack))
        self.pages = pages
        self._holds = GroupedPages(pages, page_bytes=PAGE * _FORM.size, size=lambda *_: _FORM.size)
        self._looked_at: dict[tuple[Owner, int], int] = {}
        """Unix time at which a page is looked at next, for holds that stop."""
        self._stops: list[tuple[int, Owner, int]] = []
        """A heap of when pages are looked at: the first entry of a page counts, and others do no harm."""

    def __len__(self) -> int:
        return len(self._holds)

    def find(self, owner: Owner, hold_id: HoldId) -> Held | None:
        return self._holds.find(owner, _raw(hold_id))

    def add(self, owner: Owner, hold_id: HoldId, held: Held) -> None:
        number = self._holds.add(owner, _raw(hold_id), held)
        self._look(owner, number, held.stop_s)

    def _look(self, owner: Owner, number: int, stop_s: int) -> None:
        """A hold of that page stops at `stop_s`."""
        if stop_s < self._looked_at.get((owner, number), NEVER):
            self._looked_at[owner, number] = stop_s
            heapq.heappush(self._stops, (stop_s, owner, number))

    def put(self, owner: Owner, hold_id: HoldId, held: Held) -> None:
        """Change an open hold; one without open lines is gone."""
        if held.open:
            number = self._holds.put(owner, _raw(hold_id), held)
            self._look(owner, number, held.stop_s)
        else:
            self._holds.take(owner, _raw(hold_id))

    def take_stopped(self, now_s: int) -> Iterator[tuple[Owner, HoldId, Held]]:
        """Yield the holds that nobody ended in time; they are gone."""
        while self._stops and self._stops[0][0] <= now_s:
            _, owner, number = heapq.heappop(self._stops)
            self._looked_at.pop((owner, number), None)
            for raw, held in list((self.pages.find((owner, number)) or {}).items()):
                if held.stop_s <= now_s:
                    self._holds.take(owner, raw)
                    yield owner, HoldId(f"hold_{raw.hex()}"), held
            page = self.pages.find((owner, number))
            if page:
                self._look(owner, number, min(held.stop_s for held in page.values()))

    def restore(self, pages: Iterable[Page]) -> None:
        for (owner, number), value in self._holds.restore(pages, _names).items():
            self._look(owner, number, _soonest_stop_s(value))
