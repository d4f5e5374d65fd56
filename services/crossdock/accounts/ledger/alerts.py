"""Whom to alert: when budgets and credits are nearly used up, and used up, and when credits expire. Pure.

Told is each level of a happening once; a budget's window, or another limit, is another happening, and so is a top-up.
"""

from collections.abc import Collection, Iterator
from decimal import Decimal
from typing import NamedTuple

from crossdock.accounts.ledger.credit_lots import Settled
from crossdock.accounts.state.account import CREDITS, AccountState, Alerted
from crossdock_schemas.accounts.alert import NEARLY, Alert, AlertKind
from crossdock_schemas.accounts.budget import Budget
from crossdock_schemas.accounts.credit import Lot, Terms
from crossdock_schemas.accounts.directory import budget_id, listed_as
from crossdock_schemas.ids import derive_alert_id
from crossdock_schemas.windows import Window, day_of, end_ms

BUDGET_KINDS = (AlertKind.BUDGET_NEARLY_USED, AlertKind.BUDGET_USED)
CREDIT_KINDS = (AlertKind.CREDITS_LOW, AlertKind.CREDITS_USED)


class Money(NamedTuple):
    """What there was and what of it is spent, USD."""

    limit: Decimal
    spent: Decimal


def alerts(
    state: AccountState, scopes: Collection[str], short: Collection[str], terms: Terms
) -> Iterator[Alert]:
    """Yield what is to be told now, and remember it in the state.

    `scopes`: whose sums changed. `short`: identities of budgets, or CREDITS, that had no room for what was wanted.
    """
    for scope in scopes:
        for budget in state.budgets.get(scope, {}).values():
            yield from _of_budget(state, budget, short)
    if state.prepaid_from_usd is not None:
        yield from _of_credits(state, terms, is_short=CREDITS in short)


def _of_budget(state: AccountState, budget: Budget, short: Collection[str]) -> Iterator[Alert]:
    tally = state.tally(budget.scope)
    money = Money(budget.limit_usd, tally.paid(budget.window, include_byok=budget.include_byok))
    is_nearly_used = money.spent >= money.limit * NEARLY
    if not short and not is_nearly_used:
        return  # as nearly always
    place = budget_id(budget.scope, budget.window)
    is_used = money.spent >= money.limit or place in short
    until_ms = end_ms(budget.window, day_of(state.now_ms))
    found = Alerted(f"{budget.version}/{until_ms}", 2 if is_used else int(is_nearly_used))
    if _is_news(state, place, found):
        yield Alert(
            alert_id=derive_alert_id(listed_as(state.account, place), found.happening, found.level),
            account=state.account,
            kind=BUDGET_KINDS[found.level - 1],
            scope=budget.scope,
            window=budget.window,
            limit_usd=money.limit,
            spent_usd=money.spent,
            at_ms=state.now_ms,
            until_ms=until_ms,
        )


def expiries(state: AccountState, settled: Settled) -> Iterator[Alert]:
    """Yield what is to be told of credits that expire; the lots remember it."""
    kinds = ((AlertKind.CREDITS_EXPIRING, settled.soon), (AlertKind.CREDITS_EXPIRED, settled.over))
    for kind, lots in kinds:
        yield from (_of_lot(state, kind, lot) for lot in lots)


def _of_lot(state: AccountState, kind: AlertKind, lot: Lot) -> Alert:
    money = _money(state)
    parts = (state.account, kind, lot.expires_at_ms, lot.left_usd)
    return Alert(
        alert_id=derive_alert_id(*parts),
        account=state.account,
        kind=kind,
        scope=state.account,
        limit_usd=money.limit,
        spent_usd=money.spent,
        at_ms=state.now_ms,
        until_ms=lot.expires_at_ms,
        amount_usd=lot.left_usd,
    )


def _money(state: AccountState) -> Money:
    """Return the credits, and what was spent of them."""
    begun = state.prepaid_from_usd
    spent = state.tally(state.account).paid(Window.TOTAL, include_byok=False)
    return Money(state.credits_usd, Decimal(0) if begun is None else spent - begun)


def _of_credits(state: AccountState, terms: Terms, *, is_short: bool) -> Iterator[Alert]:
    money = _money(state)
    is_used = is_short or money.spent >= money.limit
    level = 2 if is_used else int(money.limit - money.spent < terms.low_balance_usd)
    found = Alerted(f"{len(state.credits)}", level)
    if _is_news(state, CREDITS, found):
        yield Alert(
            alert_id=derive_alert_id(state.account, found.happening, found.level),
            account=state.account,
            kind=CREDIT_KINDS[found.level - 1],
            scope=state.account,
            limit_usd=money.limit,
            spent_usd=money.spent,
            at_ms=state.now_ms,
        )


def _is_news(state: AccountState, place: str, found: Alerted) -> bool:
    """Say whether this level of the happening was not told yet; then it counts as told."""
    told = state.alerted.get(place)
    is_told = told is not None and told.happening == found.happening and told.level >= found.level
    if not found.level or is_told:
        return False
    state.alerted[place] = found
    return True
