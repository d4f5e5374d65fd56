"""Credits: what an organization paid or was given in advance. They are never changed, only added to. Pure.

1 credit is 1 USD. The platform's fee comes on top of what is credited, as OpenRouter's does.
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
"""USD, to the millionth; below 0 where it is taken away."""
ExactUsd = Annotated[Decimal, Field(max_digits=26, decimal_places=12)]
"""As exact as what calls cost: so is what they leave of credits that lapse."""
Reference = Annotated[str, Field(min_length=1, max_length=MAX_REFERENCE)]
"""What it is known by outside, such as a payment's id: the same one counts once."""


class CreditKind(StrEnum):
    TOP_UP = "top_up"
    """Paid for; the fee came on top."""
    GRANT = "grant"
    """Given."""
    ADJUSTMENT = "adjustment"
    """A correction, of either sign."""
    REFUND = "refund"
    """Paid back; below 0. The fee is kept."""
    LAPSE = "lapse"
    """What was not used in time; below 0. The organization's own shard books it."""


BOOKED = (CreditKind.TOP_UP, CreditKind.GRANT, CreditKind.ADJUSTMENT, CreditKind.REFUND)
"""What the operator books."""
EXPIRING = (CreditKind.TOP_UP, CreditKind.GRANT)
"""What may have a time at which it expires."""


class Credit(Message):
    """Credits that came or went. Key in the directory: its id."""

    account: AccountId
    credit_id: CreditId
    kind: CreditKind
    amount_usd: ExactUsd
    fee_usd: Usd = Decimal(0)
    """What was paid on top."""
    reference: Reference
    note: str | None = Field(default=None, max_length=MAX_REFERENCE)
    actor: KeyId | None = None
    """The operator's key that booked it; None: a payment provider told of it, or it lapsed."""
    at_ms: int
    expires_at_ms: int | None = None
    """When what is left of it lapses; None: never. Of a lapse: when it was to be used by."""


class Lot(Message):
    """Credits that expire at the same time, as far as they are not spent."""

    expires_at_ms: int
    left_usd: Decimal
    """What may be spent still; after the time only by calls that were held for before it."""
    lapsing_usd: Decimal = Decimal(0)
    """What calls gave back after the time: it is written off with the last of it."""
    is_told: bool = False
    """An alert said that it will expire soon."""
    is_over: bool = False
    """Its time has come: what was not held for calls is written off."""


class Lots(Message):
    """An organization's credits that expire, the soonest first. Key in the directory: `lots_` and its id."""

    account: AccountId
    lots: tuple[Lot, ...] = ()
    counted_usd: Decimal = Decimal(0)
    """Of what the organization ever spent: so much was taken from credits, or came before there were any here."""


class Terms(Message):
    """The installation's terms of money: its fees, its warnings, and how long it waits for a lost call's cost."""

    fee_percent: Annotated[Decimal, Field(ge=0, le=100)] = Decimal(0)
    """Of each top-up."""
    fee_minimum_usd: Annotated[Decimal, Field(ge=0)] = Decimal(0)
    low_balance_usd: Annotated[Decimal, Field(ge=0)] = Decimal(10)
    """Credits below it are low: an alert tells so."""
    expiry_notice_days: Annotated[int, Field(ge=0)] = 7
    """So long before credits expire an alert tells so."""
    unknown_s: Annotated[int, Field(gt=0)] = 60
    """A worker presumed dead after 25 s may only have been paused and may still report the cost: its holds stay."""

    def fee_of(self, amount_usd: Decimal) -> Decimal:
        """Return the fee on top of `amount_usd`, in whole cents, rounded up."""
        if not self.fee_percent and not self.fee_minimum_usd:
            return Decimal(0)
        fee = max(amount_usd * self.fee_percent * PERCENT, self.fee_minimum_usd)
        return fee.quantize(CENT, ROUND_UP)

    def credited_of(self, paid_usd: Decimal) -> Decimal:
        """Return what is left of `paid_usd` when the fee is taken out, in whole cents; 0 if the fee takes it all."""
        most = paid_usd / (1 + self.fee_percent * PERCENT)
        amount = min(most, paid_usd - self.fee_minimum_usd).quantize(CENT, ROUND_DOWN)
        while amount > 0 and amount + self.fee_of(amount) > paid_usd:
            amount -= CENT
        return max(amount, Decimal(0))
