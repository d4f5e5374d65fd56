"""The attribution of open holds, in pages of the compacted topic. Pure.

Only holds with an attribution are stored here; all others need no space. A page has holds of one account, made one
after the other, up to PAGE_BYTES.
"""

import json
from collections.abc import Iterable

from crossdock.accounts.state.attribution import HoldShare
from crossdock.kernel.process.record import Page
from crossdock.kernel.runtime.shard.page_store import Codec, GroupedPages, PageStore
from crossdock_schemas.ids import AccountId, HoldId

PAGE_BYTES = 16_384  # some hundred holds; one hold is 230 KB at most
_SCOPES = ""
"""The entry of a page that lists all scopes once; the shares name them by their places there."""
Shares = tuple[HoldShare, ...]


def _page_key(account: str, number: str) -> tuple[AccountId, int]:
    return AccountId(account), int(number)


def _pack(page: dict[HoldId, Shares]) -> bytes:
    places: dict[str, int] = {}
    packed: dict[str, object] = {
        hold_id: [
            ([places.setdefault(scope, len(places)) for scope in scopes], held, spare)
            for scopes, held, spare in shares
        ]
        for hold_id, shares in page.items()
    }
    packed[_SCOPES] = list(places)
    return json.dumps(packed, ensure_ascii=False, separators=(",", ":")).encode()


def _unpack(value: bytes) -> dict[HoldId, Shares]:
    """Older pages have the scopes in each share."""
    page = json.loads(value)
    texts = page.pop(_SCOPES, None)
    return {
        HoldId(hold_id): tuple(
            HoldShare(tuple(scopes if texts is None else map(texts.__getitem__, scopes)), *amounts)
            for scopes, *amounts in shares
        )
        for hold_id, shares in page.items()
    }


def _size(hold_id: HoldId, shares: Shares) -> int:
    return len(_pack({hold_id: shares}))


class HoldAttribution:
    """The shares of a partition's open holds."""

    def __init__(self) -> None:
        self.pages = PageStore("marked", Codec(_page_key, _pack, _unpack))
        self._holds = GroupedPages(self.pages, page_bytes=PAGE_BYTES, size=_size)

    def find(self, account: AccountId, hold_id: HoldId) -> Shares:
        """Return the shares of a hold; empty if it has no attribution."""
        return self._holds.find(account, hold_id) or ()

    def add(self, account: AccountId, hold_id: HoldId, shares: Shares) -> None:
        self._holds.add(account, hold_id, shares)

    def put(self, account: AccountId, hold_id: HoldId, share: HoldShare) -> None:
        """Change one share of a hold, if it has an attribution."""
        shares = self.find(account, hold_id)
        if shares:
            changed = tuple(share if old.scopes == share.scopes else old for old in shares)
            self._holds.put(account, hold_id, changed)

    def take(self, account: AccountId, hold_id: HoldId) -> Shares:
        """Remove the shares of a hold that is no longer open, and return them."""
        return self._holds.take(account, hold_id) or ()

    def restore(self, pages: Iterable[Page]) -> None:
        self._holds.restore(pages, _unpack)
