"""Tokens reserved under the open holds of keys that have a token limit. Pure."""

from typing import NamedTuple

from crossdock.accounts.state.holds import HoldOwner
from crossdock.kernel.runtime.shard.page_store import Codec, PageStore
from crossdock_schemas.ids import AccountId, HoldId, KeyId


class TokenReservation(NamedTuple):
    """The tokens of one hold."""

    tokens: int
    """Reserved still: neither used nor returned."""
    per_line: int
    """The average of its lines, rounded up."""


def _key(account: str, key_id: str, hold_id: str) -> tuple[HoldOwner, HoldId]:
    return HoldOwner(AccountId(account), KeyId(key_id)), HoldId(hold_id)


def _pack(found: TokenReservation) -> bytes:
    return f"{found.tokens} {found.per_line}".encode()


def _unpack(value: bytes) -> TokenReservation:
    return TokenReservation(*map(int, value.split()))


class TokenReservations:
    """A page for each hold: there are only as many as the tokens of a few minutes allow."""

    def __init__(self) -> None:
        self.pages = PageStore("reserved", Codec(_key, _pack, _unpack))

    def __len__(self) -> int:
        return len(self.pages)

    def add(self, owner: HoldOwner, hold_id: HoldId, tokens: int, lines: int) -> None:
        """Reserve `tokens` for all `lines` of a new hold."""
        self.pages.put((owner, hold_id), TokenReservation(tokens, -(-tokens // lines)))

    def use(self, owner: HoldOwner, hold_id: HoldId, tokens: int) -> int:
        """Count `tokens` that a call used, and return those that its hold had not reserved."""
        found = self.pages.find((owner, hold_id))
        covered = 0 if found is None else min(found.tokens, tokens)
        if found is not None and covered:
            self.pages.put((owner, hold_id), found._replace(tokens=found.tokens - covered))
        return tokens - covered

    def end(self, owner: HoldOwner, hold_id: HoldId, still: int) -> int:
        """End a hold but for `still` lines, and return the tokens that are no longer reserved."""
        found = self.pages.find((owner, hold_id))
        if found is None:
            return 0
        back = max(0, found.tokens - found.per_line * still)
        if not still:
            self.pages.take((owner, hold_id))
        elif back:
            self.pages.put((owner, hold_id), found._replace(tokens=found.tokens - back))
        return back
