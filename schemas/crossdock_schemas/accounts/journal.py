"""The journal: movements of money in double entry. Entries never change; a correction is another entry."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Self

from crossdock_schemas.ids import AccountId, KeyId, ProjectId
from crossdock_schemas.message import Message
from crossdock_schemas.windows import day_of, windows_of


class EntryKind(StrEnum):
    HOLD = "hold"
    """The worst case of calls is reserved before they begin."""
    CAPTURE = "capture"
    """The cost of calls is taken from their holds."""
    CORRECTION = "correction"
    """The outcome of a call that was booked at an estimate became known."""
    RELEASE = "release"
    """No more calls run under these holds: the rest is free again."""
    TOP_UP = "top_up"
    """Credits were paid, with the fee."""
    GRANT = "grant"
    ADJUSTMENT = "adjustment"
    REFUND = "refund"
    LAPSE = "lapse"
    """Credits were not used in time: the rest is written off."""
    EXPIRY = "expiry"
    """No worker reported the end of these holds, and no call can run any more."""


class Ledger(StrEnum):
    """The account of a posting."""

    SPEND = "spend"
    """Spending of a key: grows with each call."""
    PROVIDER = "provider"
    """Debt to a provider: falls by the same amount."""
    HELD = "held"
    """Amount held for a key's calls."""
    CREDITS = "credits"
    """Credits of an organization; its spending is under `spend`."""
    PAYMENT = "payment"
    """Payments for credits: falls by credits and fee."""
    FEE = "fee"
    """Fees of top-ups."""
    GRANTED = "granted"
    """Credits from the operator: falls by grants and adjustments."""
    LAPSED = "lapsed"
    """Credits not used in time: grows with each write-off."""
    AVAILABLE = "available"
    """The other side of `held`: falls with a hold, and rises with its capture or release."""


class Posting(Message):
    """One side of an entry."""

    ledger: Ledger
    project: ProjectId = ProjectId("")
    key_id: KeyId = KeyId("")
    """Both are empty in postings of the organization: credits, payments, fees, grants."""
    provider: str = ""
    """Set for `spend` and `provider`; a hold is for any provider."""
    is_byok: bool = False
    """Set for calls with a BYOK key."""
    marks: tuple[str, ...] = ()
    """Attribution: the end user and tags that had a budget at the time of the hold."""
    day: date
    """UTC day whose windows it counts in: the day of the hold; without a hold, of the booking."""
    amount_usd: Decimal
    """Never 0; exact to 12 places."""
    expires_at_ms: int | None = None
    """Expiry of `credits`, and of their write-off."""


class Entry(Message):
    """Postings that add up to 0. Numbered per account without a gap, from 1."""

    account: AccountId
    number: int
    at_ms: int
    kind: EntryKind
    change: int = 0
    """Number of the account's last change before it: it determines the budgets of the moment."""
    executions: int
    """Number of calls; for a hold, a release or an expiry: lines; for credits: 0."""
    postings: tuple[Posting, ...]


class Spending(Message):
    """Amounts spent and held, USD. Windows are UTC; a week begins on Monday.

    Amounts are as of `at_ms`: a window that has ended since is 0.
    """

    at_ms: int
    total_usd: Decimal = Decimal(0)
    day_usd: Decimal = Decimal(0)
    week_usd: Decimal = Decimal(0)
    month_usd: Decimal = Decimal(0)
    held_usd: Decimal = Decimal(0)
    """Worst case of calls that run or may begin."""
    held_day_usd: Decimal = Decimal(0)
    held_week_usd: Decimal = Decimal(0)
    held_month_usd: Decimal = Decimal(0)
    spare_usd: Decimal = Decimal(0)
    """Part of the held amount that fluid budgets do not count: worst case less expected cost."""
    spare_day_usd: Decimal = Decimal(0)
    spare_week_usd: Decimal = Decimal(0)
    spare_month_usd: Decimal = Decimal(0)
    byok_usd: Decimal = Decimal(0)
    """Part of the total that BYOK keys paid."""
    byok_day_usd: Decimal = Decimal(0)
    byok_week_usd: Decimal = Decimal(0)
    byok_month_usd: Decimal = Decimal(0)
    calls: int = 0
    """Number of calls."""

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
    """Amounts spent by and held for a key, as its account's shard stores them.

    Key in the directory: `spend_` and the key's id.
    """

    account: AccountId
    project: ProjectId
    key_id: KeyId
    rotation_root: KeyId | None = None
    """The first key of its chain of rotations; None: the key itself."""

    @property
    def scopes(self) -> frozenset[str]:
        """Scopes of the budgets that it counts for; of keys: the first one of a chain of rotations, too."""
        return frozenset(
            (self.account, self.project, self.key_id, self.rotation_root or self.key_id)
        )


class MarkSpend(Spending):
    """Amounts spent and held for an end user or a tag, since the first budget of its scope.

    Key in the directory: `marked_`, the scope, `@` and the account.
    """

    account: AccountId
    scope: str

    @property
    def scopes(self) -> frozenset[str]:
        return frozenset((self.scope,))
