"""The tokens that calls have reserved under the open holds of keys with a limit of tokens. Pure."""

from typing import NamedTuple

from crossdock.accounts.state.holds import Owner
from crossdock.kernel.runtime.shard.page_store import Codec, PageStore
from crossdock_schemas.ids import AccountId, HoldId, KeyId


class Share(NamedTuple):
    """Of one hold."""

    rest: int
    """Tokens that were neither used nor given back."""
    line: int
    """Tokens that one of its lines reserved, on average, rounded up."""


def _name(key: tuple[Owner, HoldId]) -> str:
    owner, hold_id = key
    return f"{owner.account}/{owner.key_id}/{hold_id}"


def _key(name: str) -> tuple[Owner, HoldId]:
    account, key_id, hold_id = name.split("/")
    return Owner(AccountId(account), KeyId(key_id)), HoldId(hold_id)


def _pack(share: Share) -> bytes:
    return f"{share.rest} {share.line}".encode()


def _unpack(value: bytes) -> Share:
    return Share(*map(int, value.split()))


class Reserved:
    """A page for each hold: there are no more of them than tokens of a few minutes."""

    def __init__(self) -> None:
        self.pages = PageStore("reserved", Codec(_name, _key, _pack, _unpack))

    def __len__(self) -> int:
        return len(self.pages)

    def add(self, owner: Owner, hold_id: HoldId, tokens: int, lines: int) -> None:
        """Reserve `tokens` for all `lines` of a new hold."""
        self.pages.put((owner, hold_id), Share(tokens, -(-tokens // lines)))

    def use(self, owner: Owner, hold_id: HoldId, tokens: int) -> int:
        """A call used `tokens`; return those that its hold had not reserved."""
        share = self.pages.find((owner, hold_id))
        covered = 0 if share is None else min(share.rest, tokens)
        if share is not None and covered:
            self.pages.put((owner, hold_id), share._replace(rest=share.rest - covered))
        return tokens - covered

    def end(self, owner: Owner, hold_id: HoldId, still: int) -> int:
        """Only `still` lines of the hold go on; return the tokens that are reserved no longer."""
        share = self.pages.find((owner, hold_id))
        if share is None:
            return 0
        back = max(0, share.rest - share.line * still)
        if not still:
            self.pages.take((owner, hold_id))
        elif back:
            self.pages.put((owner, hold_id), share._replace(rest=share.rest - back))
        return back
