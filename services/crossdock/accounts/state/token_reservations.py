"""The tokens that calls have reserved under the open holds of keys with a limit of tokens. Pure."""

from typing import NamedTuple

from crossdock.accounts.state.holds import Owner
from crossdock.kernel.process.record import Page
from crossdock_schemas.ids import AccountId, HoldId, KeyId

PREFIX = "reserved"


class Share(NamedTuple):
    """Of one hold."""

    rest: int
    """Tokens that were neither used nor given back."""
    line: int
    """Tokens that one of its lines reserved, on average, rounded up."""


class Reserved:
    """A page for each hold: there are no more of them than tokens of a few minutes."""

    def __init__(self) -> None:
        self._open: dict[tuple[Owner, HoldId], Share] = {}
        self._changed: set[tuple[Owner, HoldId]] = set()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, owner: Owner, hold_id: HoldId, tokens: int, lines: int) -> None:
        """Reserve `tokens` for all `lines` of a new hold."""
        self._put(owner, hold_id, Share(tokens, -(-tokens // lines)))

    def use(self, owner: Owner, hold_id: HoldId, tokens: int) -> int:
        """A call used `tokens`; return those that its hold had not reserved."""
        share = self._open.get((owner, hold_id))
        if share is None:
            return tokens
        covered = min(share.rest, tokens)
        if covered:
            self._put(owner, hold_id, share._replace(rest=share.rest - covered))
        return tokens - covered

    def end(self, owner: Owner, hold_id: HoldId, still: int) -> int:
        """Only `still` lines of the hold go on; return the tokens that are reserved no longer."""
        share = self._open.get((owner, hold_id))
        if share is None:
            return 0
        back = max(0, share.rest - share.line * still)
        if not still:
            del self._open[owner, hold_id]
            self._changed.add((owner, hold_id))
        elif back:
            self._put(owner, hold_id, share._replace(rest=share.rest - back))
        return back

    def _put(self, owner: Owner, hold_id: HoldId, share: Share) -> None:
        self._open[owner, hold_id] = share
        self._changed.add((owner, hold_id))

    def finish(self) -> list[Page]:
        """Return the pages that changed since the last call."""
        changed, self._changed = self._changed, set()
        return [Page(_key(*place), _value(self._open.get(place))) for place in sorted(changed)]

    def restore(self, pages: list[Page]) -> None:
        """Take over pages under `reserved/`."""
        for key, value in pages:
            if value is not None:
                _, account, key_id, hold_id = key.decode().split("/")
                rest, line = map(int, value.split())
                owner = Owner(AccountId(account), KeyId(key_id))
                self._open[owner, HoldId(hold_id)] = Share(rest, line)


def _key(owner: Owner, hold_id: HoldId) -> bytes:
    return f"{PREFIX}/{owner.account}/{owner.key_id}/{hold_id}".encode()


def _value(share: Share | None) -> bytes | None:
    return None if share is None else f"{share.rest} {share.line}".encode()


def is_own(key: bytes) -> bool:
    """Say whether a page of the partition's state belongs here."""
    return key.startswith(b"reserved/")
