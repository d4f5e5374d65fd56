"""The journal: what money did, in double entry. Nothing is ever changed in it; a correction is another entry."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Self

from crossdock_schemas.ids import AccountId, KeyId, ProjectId
from crossdock_schemas.message import Message
from crossdock_schemas.windows import day_of, windows_of


class EntryKind(StrEnum):
    HOLD = "hold"
    """Calls may begin: what they can cost at most is set aside."""
    CAPTURE = "capture"
    """Calls cost money, which their holds give up."""
    CORRECTION = "correction"
    """The end of a call that was booked at an estimate became known."""
    RELEASE = "release"
    """No more calls under these holds: what is left of them is free."""
    TOP_UP = "top_up"
    """Credits were paid for, with the fee."""
    GRANT = "grant"
    ADJUSTMENT = "adjustment"
    REFUND = "refund"
    LAPSE = "lapse"
    """Credits were not used by their time: what is left of them is written off."""
    EXPIRY = "expiry"
    """Nobody told of the end of these holds, and no call can run any more."""


class Ledger(StrEnum):
    """What a posting is about."""

    SPEND = "spend"
    """What a key spent: grows with each call."""
    PROVIDER = "provider"
    """What is owed to a provider: falls by the same amount."""
    HELD = "held"
    """What is set aside for a key's calls."""
    CREDITS = "credits"
    """What an organization has paid or was given in advance; what it spends is under `spend`."""
    PAYMENT = "payment"
    """What came in for credits: falls by credits and fee."""
    FEE = "fee"
    """What the operator charged for top-ups."""
    GRANTED = "granted"
    """What the operator gave: falls by grants and adjustments."""
    LAPSED = "lapsed"
    """What organizations did not use in time: grows by what is written off."""
    AVAILABLE = "available"
    """What a key may hold still: falls by what is set aside, and rises when it is captured or free."""


class Posting(Message):
    """One side of an entry."""

    ledger: Ledger
    project: ProjectId = ProjectId("")
    key_id: KeyId = KeyId("")
    """Both empty where it is the organization's: of credits, payments, fees and what was granted."""
    provider: str = ""
    """Of `spend` and `provider`; a hold is for whoever will be called."""
    is_byok: bool = False
    """Of calls with an own provider key."""
    marks: tuple[str, ...] = ()
    """The end user and the tags for which it counts besides: those that had a budget when its hold was made."""
    day: date
    """UTC day in whose windows it counts: the hold's; that of the booking where there is no hold."""
    amount_usd: Decimal
    """Never 0; exact to 12 places."""
    expires_at_ms: int | None = None
    """Of `credits` that expire, and of what is written off of them."""


class Entry(Message):
    """Postings that add up to 0. Numbered per account without a gap, from 1."""

    account: AccountId
    number: int
    at_ms: int
    kind: EntryKind
    change: int = 0
    """Number of the account's last change before it: by it the budgets of the moment are known."""
    executions: int
    """Calls behind it; of a hold, a release or an expiry: lines; of credits: none."""
    postings: tuple[Posting, ...]


class Spending(Message):
    """What was spent and what is held, USD. Windows are UTC; a week begins on Monday.

    What is told is as of `at_ms`: a window that has ended since is 0.
    """

    at_ms: int
    total_usd: Decimal = Decimal(0)
    day_usd: Decimal = Decimal(0)
    week_usd: Decimal = Decimal(0)
    month_usd: Decimal = Decimal(0)
    held_usd: Decimal = Decimal(0)
    """What calls that run, or may begin, can cost at most."""
    held_day_usd: Decimal = Decimal(0)
    held_week_usd: Decimal = Decimal(0)
    held_month_usd: Decimal = Decimal(0)
    spare_usd: Decimal = Decimal(0)
    """What of it fluid budgets do not count: it is not likely to be spent."""
    spare_day_usd: Decimal = Decimal(0)
    spare_week_usd: Decimal = Decimal(0)
    spare_month_usd: Decimal = Decimal(0)
    byok_usd: Decimal = Decimal(0)
    """What of the total own provider keys paid for."""
    byok_day_usd: Decimal = Decimal(0)
    byok_week_usd: Decimal = Decimal(0)
    byok_month_usd: Decimal = Decimal(0)
    calls: int = 0
    """Calls behind it."""

    def as_of(self, now_ms: int) -> Self:
        """Return it as it is now: windows that ended since are 0."""
        then, now = windows_of(day_of(self.at_ms)), windows_of(day_of(now_ms))
        if now_ms <= self.at_ms or then == now:
            return self
        ended = [
            name for name, t, w in zip(("day", "week", "month"), then, now, strict=True) if t != w
        ]
        zeros = {
            f"{kind}{name}_usd": Decimal(0)
            for name in ended
            for kind in ("", "held_", "spare_", "byok_")
        }
        return self.model_copy(update={**zeros, "at_ms": now_ms})


class Spend(Spending):
    """What a key has spent and what is held for it, as its account's shard knows it.

    Key in the directory: `spend_` and the key's id.
    """

    account: AccountId
    project: ProjectId
    key_id: KeyId

    @property
    def scopes(self) -> frozenset[str]:
        """Whose budgets it counts for."""
        return frozenset((self.account, self.project, self.key_id))


class MarkSpend(Spending):
    """What was spent and is held for an end user or under a tag, since a budget was first set for it.

    Key in the directory: `marked_`, the scope, `@` and the account.
    """

    account: AccountId
    scope: str

    @property
    def scopes(self) -> frozenset[str]:
        return frozenset((self.scope,))
