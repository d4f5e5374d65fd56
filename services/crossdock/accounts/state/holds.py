"""Open holds, in pages of the compacted topic. Pure.

A page has up to PAGE holds of one key, made one after the other, so that they end at about the same time. A step then
writes few pages, and a million open holds are some 16,000 records to read.
"""

import heapq
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from crossdock.kernel.process.record import Page
from crossdock.kernel.runtime.shard.page_store import Codec, GroupedPages, PageStore
from crossdock_schemas.ids import AccountId, HoldId, KeyId
from crossdock_schemas.money import Units

PAGE = 64
NEVER = 1 << 32  # later than every time that a page can store
_AMOUNT_BYTES = 16
_FORM = struct.Struct("<16s16s16sIIII")
_NAMES = struct.Struct("<16s48x")
_STOPS = struct.Struct("<60xI")


class OpenHold(NamedTuple):
    """An open hold."""

    held: Units
    """Not captured yet."""
    spare: Units
    """The part of it beyond the expected cost: fluid budgets do not count it."""
    open: int
    """A bit for each line that has not ended."""
    lost: int
    """A bit for each open line whose last call has an unknown end: it makes no more calls under this hold."""
    day: int
    """Number of the UTC day on which it was made."""
    stop_s: int
    """Unix time after which no call can run under it."""


class HoldOwner(NamedTuple):
    """The key that a hold was made for."""

    account: AccountId
    key_id: KeyId


def _raw(hold_id: HoldId) -> bytes:
    return bytes.fromhex(hold_id.rpartition("_")[2])


def _names(value: bytes) -> list[bytes]:
    """Return the holds of a packed page."""
    return [raw for (raw,) in _NAMES.iter_unpack(value)]


def _soonest_stop_s(value: bytes) -> int:
    """Return when the first hold of a packed page stops."""
    soonest: int = min(stop_s for (stop_s,) in _STOPS.iter_unpack(value))
    return soonest


def _pack(page: dict[bytes, OpenHold]) -> bytes:
    return b"".join(
        _FORM.pack(raw, held.to_bytes(_AMOUNT_BYTES), spare.to_bytes(_AMOUNT_BYTES), *others)
        for raw, (held, spare, *others) in page.items()
    )


def _unpack(value: bytes) -> dict[bytes, OpenHold]:
    return {
        raw: OpenHold(int.from_bytes(held), int.from_bytes(spare), *others)
        for raw, held, spare, *others in _FORM.iter_unpack(value)
    }


def _page_key(account: str, key_id: str, number: str) -> tuple[HoldOwner, int]:
    return HoldOwner(AccountId(account), KeyId(key_id)), int(number)


class OpenHolds:
    """The open holds of a partition's accounts."""

    def __init__(self) -> None:
        pages = PageStore("held", Codec(_page_key, _pack, _unpack))
        self.pages = pages
        self._holds = GroupedPages(pages, page_bytes=PAGE * _FORM.size, size=lambda *_: _FORM.size)
        self._looked_at: dict[tuple[HoldOwner, int], int] = {}
        """Unix time at which a page is looked at next, for holds that stop."""
        self._stops: list[tuple[int, HoldOwner, int]] = []
        """A heap of when pages are looked at. The first entry of a page counts; later ones have no effect."""

    def __len__(self) -> int:
        return len(self._holds)

    def find(self, owner: HoldOwner, hold_id: HoldId) -> OpenHold | None:
        return self._holds.find(owner, _raw(hold_id))

    def add(self, owner: HoldOwner, hold_id: HoldId, hold: OpenHold) -> None:
        number = self._holds.add(owner, _raw(hold_id), hold)
        self._look(owner, number, hold.stop_s)

    def _look(self, owner: HoldOwner, number: int, stop_s: int) -> None:
        """Look at a page at `stop_s`, when one of its holds stops."""
        if stop_s < self._looked_at.get((owner, number), NEVER):
            self._looked_at[owner, number] = stop_s
            heapq.heappush(self._stops, (stop_s, owner, number))

    def put(self, owner: HoldOwner, hold_id: HoldId, hold: OpenHold) -> None:
        """Change an open hold, or remove it if no line is open."""
        if hold.open:
            number = self._holds.put(owner, _raw(hold_id), hold)
            self._look(owner, number, hold.stop_s)
        else:
            self._holds.take(owner, _raw(hold_id))

    def take_stopped(self, now_s: int) -> Iterator[tuple[HoldOwner, HoldId, OpenHold]]:
        """Remove the holds that were not ended in time, and yield them."""
        while self._stops and self._stops[0][0] <= now_s:
            _, owner, number = heapq.heappop(self._stops)
            self._looked_at.pop((owner, number), None)
            for raw, hold in list((self.pages.find((owner, number)) or {}).items()):
                if hold.stop_s <= now_s:
                    self._holds.take(owner, raw)
                    yield owner, HoldId(f"hold_{raw.hex()}"), hold
            page = self.pages.find((owner, number))
            if page:
                self._look(owner, number, min(hold.stop_s for hold in page.values()))

    def restore(self, pages: Iterable[Page]) -> None:
        for (owner, number), value in self._holds.restore(pages, _names).items():
            self._look(owner, number, _soonest_stop_s(value))
