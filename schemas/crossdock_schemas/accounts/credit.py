"""Credits: amounts that an organization paid or got in advance. Entries are only added, never changed. Pure.

1 credit is 1 USD. The operator's fee is added to the amount of the credits, as OpenRouter's is.
"""

from decimal import ROUND_DOWN, ROUND_UP, Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from crossdock_schemas.ids import AccountId, CreditId, KeyId
from crossdock_schemas.message import Message

MAX_REFERENCE = 255
CENT = Decimal("0.01")
PERCENT = Decimal("0.01")
Usd = Annotated[Decimal, Field(max_digits=20, decimal_places=6)]
"""USD, to the millionth; negative for deductions."""
ExactUsd = Annotated[Decimal, Field(max_digits=26, decimal_places=12)]
"""As exact as costs of calls, because the rest of expired credits depends on them."""
Reference = Annotated[str, Field(min_length=1, max_length=MAX_REFERENCE)]
"""External id, such as a payment's: the same one counts once."""


class CreditKind(StrEnum):
    TOP_UP = "top_up"
    """Paid, with the fee on top."""
    GRANT = "grant"
    """Given."""
    ADJUSTMENT = "adjustment"
    """A correction, of either sign."""
    REFUND = "refund"
    """Paid back; negative. The fee is kept."""
    LAPSE = "lapse"
    """Not used in time; negative. The organization's own shard books it."""


BOOKED = (CreditKind.TOP_UP, CreditKind.GRANT, CreditKind.ADJUSTMENT, CreditKind.REFUND)
"""Kinds that the operator books."""
EXPIRING = (CreditKind.TOP_UP, CreditKind.GRANT)
"""Kinds that may expire."""


class Credit(Message):
    """A change of credits. Key in the directory: its id."""

    account: AccountId
    credit_id: CreditId
    kind: CreditKind
    amount_usd: ExactUsd
    fee_usd: Usd = Decimal(0)
    """Amount that was paid on top."""
    reference: Reference
    note: str | None = Field(default=None, max_length=MAX_REFERENCE)
    actor: KeyId | None = None
    """The operator's key that booked it; None: a payment provider reported it, or it lapsed."""
    at_ms: int
    expires_at_ms: int | None = None
    """Expiry of the unspent rest; None: never. For a lapse: the expiry that passed."""


class Lot(Message):
    """Unspent credits that expire at the same time."""

    expires_at_ms: int
    left_usd: Decimal
    """USD left to spend; after the expiry only for calls with a hold from before."""
    lapsing_usd: Decimal = Decimal(0)
    """USD that calls released after the expiry; written off with the rest."""
    is_told: bool = False
    """The alert before the expiry was sent."""
    is_over: bool = False
    """It has expired: the amount not held for calls is written off."""


class Lots(Message):
    """An organization's credits that expire, the soonest first. Key in the directory: `lots_` and its id."""

    account: AccountId
    lots: tuple[Lot, ...] = ()
    counted_usd: Decimal = Decimal(0)
    """Part of the organization's total spending that was taken from credits, or came before the first of these."""


class Terms(Message):
    """The installation's terms of money: its fees, its warnings, and how long it waits for a lost call's cost."""

    fee_percent: Annotated[Decimal, Field(ge=0, le=100)] = Decimal(0)
    """Percentage of each top-up."""
    fee_minimum_usd: Annotated[Decimal, Field(ge=0)] = Decimal(0)
    low_balance_usd: Annotated[Decimal, Field(ge=0)] = Decimal(10)
    """An alert is sent when credits fall below it."""
    expiry_notice_days: Annotated[int, Field(ge=0)] = 7
    """An alert is sent so many days before credits expire."""
    unknown_s: Annotated[int, Field(gt=0)] = 60
    """A worker presumed dead after 25 s may only have been paused and may still report the cost: its holds stay."""

    def fee_of(self, amount_usd: Decimal) -> Decimal:
        """Return the fee on top of `amount_usd`, in whole cents, rounded up."""
        if not self.fee_percent and not self.fee_minimum_usd:
            return Decimal(0)
        fee = max(amount_usd * self.fee_percent * PERCENT, self.fee_minimum_usd)
        return fee.quantize(CENT, ROUND_UP)

    def credited_of(self, paid_usd: Decimal) -> Decimal:
        """Return `paid_usd` less the fee, in whole cents; 0 if the fee is larger."""
        most = paid_usd / (1 + self.fee_percent * PERCENT)
        amount = min(most, paid_usd - self.fee_minimum_usd).quantize(CENT, ROUND_DOWN)
        while amount > 0 and amount + self.fee_of(amount) > paid_usd:
            amount -= CENT
        return max(amount, Decimal(0))
