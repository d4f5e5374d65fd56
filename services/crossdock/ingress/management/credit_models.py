"""Request and answer models of the credit routes. 1 credit is 1 USD."""

from typing import Annotated, Literal

from pydantic import Field

from crossdock.ingress.values import types
from crossdock.ingress.values.balances import Worth
from crossdock.ingress.values.models import AnswerModel, Data, Listed, RequestModel
from crossdock_schemas.accounts.credit import MAX_REFERENCE, CreditKind, Lots, Reference

Note = Annotated[str, Field(max_length=MAX_REFERENCE)]


class CreditCreate(RequestModel):
    kind: Literal["top_up", "grant", "adjustment", "refund"]
    amount_usd: types.SignedAmount
    """Above 0; of a refund below 0, of an adjustment either."""
    reference: Reference
    """The same reference again is a conflict and books nothing."""
    note: Note | None = None
    expires_at: types.SentTime | None = None
    """When the rest of a top_up or a grant is written off; null: never."""


class PrepaymentUpdate(RequestModel):
    is_prepaid: types.Flag
    """True: from now on the organization needs credits for what it spends. False: it needs none."""


class ExpiringCreditsObject(AnswerModel):
    expires_at: types.Time = Field(validation_alias="expires_at_ms")
    """The rest is written off then, as soon as no call holds any of it."""
    amount_usd: types.ExactUsd = Field(validation_alias="left_usd")
    """The part that is not spent."""


class CreditsObject(AnswerModel):
    """The credits of an organization, and what is left of them."""

    total_credits: types.DoubleUsd = Field(validation_alias="credits_usd")
    total_usage: types.DoubleUsd = Field(validation_alias="spent_usd")
    """Spent since the organization needs credits; everything that it spent if it needs none."""
    balance_usd: types.SignedUsd | None
    """Credits that are not spent; null: it needs none."""
    held_usd: types.ExactUsd
    """Part of the balance: worst case of the calls that run or may begin."""
    is_prepaid: bool
    """It needs credits for what it spends."""
    expiring: tuple[ExpiringCreditsObject, ...]
    """Credits that expire and are not spent, the soonest first."""


class CreditObject(AnswerModel):
    """Credits that came or went; never changed."""

    id: types.CreditId = Field(validation_alias="credit_id")
    kind: CreditKind
    amount_usd: types.SignedUsd
    fee_usd: types.ExactUsd
    """Paid on top."""
    reference: Reference
    note: Note | None
    created_at: types.Time = Field(validation_alias="at_ms")
    expires_at: types.Time | None = Field(validation_alias="expires_at_ms")
    """When the rest is written off; null: never."""


CreditsAnswer = Data[CreditsObject]
CreditAnswer = Data[CreditObject]
CreditEntriesAnswer = Listed[CreditObject]


def show_worth(worth: Worth, lots: Lots | None = None) -> CreditsObject:
    balance = worth.balance_usd if worth.is_prepaid else None
    return CreditsObject.of(worth, balance_usd=balance, expiring=lots.lots if lots else ())
