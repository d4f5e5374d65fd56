"""Commands for credits. Pure."""

from decimal import Decimal

from crossdock.accounts.commands.decision import Decision, Refused, changed, unknown
from crossdock.accounts.state.account import AccountState
from crossdock_schemas.accounts.control import (
    CreditAsked,
    Credited,
    PrepaymentAsked,
    PrepaymentSet,
    Refusal,
)
from crossdock_schemas.accounts.credit import BOOKED, EXPIRING, Credit, CreditKind, Terms
from crossdock_schemas.ids import derive_credit_id
from crossdock_schemas.money import to_usd, usd_text

MAX_LOTS = 400
"""Times at which an organization's credits expire, one lot each: more than one a day for a year."""


def forward_credit(_state: AccountState, command: CreditAsked) -> Decision:
    """Send the operator's command to the organization's own shard."""
    credited = Credited(
        change_id=command.change_id,
        account=command.organization,
        actor=command.actor,
        at_ms=command.at_ms,
        kind=command.kind,
        amount_usd=command.amount_usd,
        reference=command.reference,
        note=command.note,
        expires_at_ms=command.expires_at_ms,
    )
    return Decision(command.organization, forwarded=(credited,))


def forward_prepayment(_state: AccountState, command: PrepaymentAsked) -> Decision:
    """Send the operator's command to the organization's own shard."""
    asked = PrepaymentSet(
        change_id=command.change_id,
        account=command.organization,
        actor=command.actor,
        at_ms=command.at_ms,
        is_prepaid=command.is_prepaid,
    )
    return Decision(command.organization, forwarded=(asked,))


def set_prepayment(state: AccountState, command: PrepaymentSet) -> Decision | Refused:
    """Let credits bind, or not; what was spent before takes none of them."""
    organization = state.organization
    if organization is None:
        return unknown("organization", command.account)
    if command.is_prepaid == (organization.prepaid_from_usd is not None):
        return Decision(command.account, (organization,))
    fields = {"prepaid_from_usd": state.spent_usd() if command.is_prepaid else None}
    return Decision(command.account, (changed(state, organization, fields),))


def add_credit(terms: Terms, state: AccountState, command: Credited) -> Decision | Refused:
    """Book credits, once for each reference."""
    identifier = derive_credit_id(command.account, command.reference)
    if state.organization is None:
        return unknown("organization", command.account)
    if identifier in state.credits:
        reason = f"The reference {command.reference!r} is booked already."
        return Refused(identifier, Refusal.CONFLICT, reason)
    amount, fee = _amounts(command, terms)
    wrong = (
        _why_wrong(command.kind, amount)
        or _why_wrong_end(state, command)
        or _why_too_much(state, command.kind, amount)
    )
    if wrong is not None:
        return Refused(identifier, Refusal.INVALID, wrong)
    credit = Credit(
        account=command.account,
        credit_id=identifier,
        kind=command.kind,
        amount_usd=amount,
        fee_usd=fee,
        reference=command.reference,
        note=command.note,
        actor=command.actor,
        at_ms=state.now_ms,
        expires_at_ms=command.expires_at_ms,
    )
    return Decision(identifier, (credit,))


def _amounts(command: Credited, terms: Terms) -> tuple[Decimal, Decimal]:
    """Return what is credited, and the fee, which only a payment has."""
    if command.paid_usd is not None:
        amount = terms.credited_of(command.paid_usd)
        return amount, command.paid_usd - amount
    amount = command.amount_usd or Decimal(0)
    return amount, terms.fee_of(amount) if command.kind is CreditKind.TOP_UP else Decimal(0)


def _why_wrong_end(state: AccountState, command: Credited) -> str | None:
    end_ms = command.expires_at_ms
    if end_ms is None:
        return None
    if command.kind not in EXPIRING:
        return "Only a top_up or a grant may expire."
    if end_ms <= state.now_ms:
        return "expires_at is in the past."
    ends = [] if state.lots is None else [lot.expires_at_ms for lot in state.lots.lots]
    if len(ends) >= MAX_LOTS and end_ms not in ends:
        return f"Credits expire at {MAX_LOTS} times at most: choose one at which others do."
    return None


def _why_wrong(kind: CreditKind, amount: Decimal) -> str | None:
    if kind not in BOOKED:
        return f"A {kind.value} is not booked by a command: credits lapse when they expire."
    if kind is CreditKind.REFUND and amount >= 0:
        return "A refund takes credits away: its amount is below 0."
    if kind in (CreditKind.TOP_UP, CreditKind.GRANT) and amount <= 0:
        return f"Nothing is left to credit: the amount of a {kind.value} is above 0."
    return "The amount is 0." if not amount else None


def _why_too_much(state: AccountState, kind: CreditKind, amount: Decimal) -> str | None:
    """A refund takes only credits that are neither spent nor held."""
    left = to_usd(max(state.credits_left(), 0))
    if kind is not CreditKind.REFUND or left >= -amount:
        return None
    return f"Only {usd_text(left)} USD of the credits are left to be refunded."
