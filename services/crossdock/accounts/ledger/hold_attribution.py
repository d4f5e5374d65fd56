"""What open holds count for besides their key, and how that lies in pages on the compacted topic. Pure.

Only holds that count for end users or tags are in here; all others cost nothing. A page has those of one account that
were made after one another, up to PAGE_BYTES.
"""

import json
from dataclasses import dataclass, field

from crossdock.accounts.state.attribution import Share
from crossdock.kernel.process.record import Page
from crossdock_schemas.ids import AccountId, HoldId

PREFIX = "marked"
PAGE_BYTES = 16_384  # some hundred holds; one hold is 130 KiB at most


@dataclass
class _Pages:
    """The holds of one account."""

    pages: dict[int, dict[HoldId, tuple[Share, ...]]] = field(default_factory=dict)
    where: dict[HoldId, int] = field(default_factory=dict)
    """Page number by hold."""
    last: int = 0
    filled: int = 0
    """Bytes that were ever put on the last page."""

    def add(self, hold_id: HoldId, shares: tuple[Share, ...]) -> int:
        """Put it on the last page; return that page's number."""
        if self.filled >= PAGE_BYTES:
            self.last, self.filled = self.last + 1, 0
        self.filled += len(_text({hold_id: shares}))
        self.pages.setdefault(self.last, {})[hold_id] = shares
        self.where[hold_id] = self.last
        return self.last

    def restore(self, number: int, value: bytes) -> None:
        page = {
            HoldId(hold_id): tuple(Share(tuple(marks), *amounts) for marks, *amounts in shares)
            for hold_id, shares in json.loads(value).items()
        }
        self.pages[number] = page
        self.where.update(dict.fromkeys(page, number))
        if number >= self.last:
            self.last, self.filled = number, len(value)


class Marked:
    """The shares of a partition's open holds."""

    def __init__(self) -> None:
        self._accounts: dict[AccountId, _Pages] = {}
        self._changed: set[tuple[AccountId, int]] = set()

    def find(self, account: AccountId, hold_id: HoldId) -> tuple[Share, ...]:
        """Return the shares of a hold; empty where it counts for its key only."""
        holds = self._accounts.get(account)
        if holds is None or hold_id not in holds.where:
            return ()
        return holds.pages[holds.where[hold_id]][hold_id]

    def add(self, account: AccountId, hold_id: HoldId, shares: tuple[Share, ...]) -> None:
        number = self._accounts.setdefault(account, _Pages()).add(hold_id, shares)
        self._changed.add((account, number))

    def put(self, account: AccountId, hold_id: HoldId, share: Share) -> None:
        """Change one of a hold's shares, if it has some."""
        holds = self._accounts.get(account)
        if holds is None or hold_id not in holds.where:
            return
        number = holds.where[hold_id]
        page = holds.pages[number]
        page[hold_id] = tuple(share if old.marks == share.marks else old for old in page[hold_id])
        self._changed.add((account, number))

    def take(self, account: AccountId, hold_id: HoldId) -> tuple[Share, ...]:
        """Return the shares of a hold that is gone, and forget them."""
        shares = self.find(account, hold_id)
        if shares:
            holds = self._accounts[account]
            number = holds.where.pop(hold_id)
            del holds.pages[number][hold_id]
            self._changed.add((account, number))
        return shares

    def finish(self) -> list[Page]:
        """Return the pages that changed since the last call."""
        changed, self._changed = self._changed, set()
        return [self._page(account, number) for account, number in sorted(changed)]

    def _page(self, account: AccountId, number: int) -> Page:
        pages = self._accounts[account].pages
        key = f"{PREFIX}/{account}/{number}".encode()
        if pages[number]:
            return Page(key, _text(pages[number]))
        del pages[number]
        return Page(key, None)

    def restore(self, pages: list[Page]) -> None:
        """Take over pages under `marked/`."""
        for key, value in pages:
            if value is not None:
                _, account, number = key.decode().split("/")
                holds = self._accounts.setdefault(AccountId(account), _Pages())
                holds.restore(int(number), value)


def _text(page: dict[HoldId, tuple[Share, ...]]) -> bytes:
    return json.dumps(page, ensure_ascii=False, separators=(",", ":")).encode()


def is_own(key: bytes) -> bool:
    """Say whether a page of the partition's state belongs here."""
    return key.startswith(b"marked/")
