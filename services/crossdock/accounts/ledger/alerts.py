"""Alerts: budgets and credits are nearly used up or used up, and credits expire. Pure.

Each level is reported once per occasion. The next window of a budget, a new limit and a top-up are new occasions.
"""

from collections.abc import Collection, Iterator
from decimal import Decimal
from typing import NamedTuple

from crossdock.accounts.ledger.credit_lots import SettledLots
from crossdock.accounts.state.account import CREDITS, AccountState, Alerted
from crossdock_schemas.accounts.alert import NEARLY, Alert, AlertKind
from crossdock_schemas.accounts.budget import Budget
from crossdock_schemas.accounts.credit import Lot, Terms
from crossdock_schemas.accounts.directory import budget_id, listed_as
from crossdock_schemas.ids import derive_alert_id
from crossdock_schemas.money import to_usd
from crossdock_schemas.windows import day_of, end_ms

BUDGET_KINDS = (AlertKind.BUDGET_NEARLY_USED, AlertKind.BUDGET_USED)
CREDIT_KINDS = (AlertKind.CREDITS_LOW, AlertKind.CREDITS_USED)


class LimitUse(NamedTuple):
    """A limit, and what of it is spent, USD."""

    limit: Decimal
    spent: Decimal


def alerts(
    state: AccountState, scopes: Collection[str], exhausted: Collection[str], terms: Terms
) -> Iterator[Alert]:
    """Yield the alerts that are due, and remember them in the state.

    `scopes`: their totals changed. `exhausted`: identities of budgets, or CREDITS, that refused a line.
    """
    for scope in scopes:
        for budget in state.budgets.get(scope, {}).values():
            yield from _of_budget(state, budget, exhausted)
    if state.prepaid_from_usd is not None:
        yield from _of_credits(state, terms, is_exhausted=CREDITS in exhausted)


def _of_budget(state: AccountState, budget: Budget, exhausted: Collection[str]) -> Iterator[Alert]:
    totals = state.counted(budget.scope)
    spent = totals.spent_in(budget.window, include_byok=budget.include_byok)
    use = LimitUse(budget.limit_usd, to_usd(spent))
    is_nearly_used = use.spent >= use.limit * NEARLY
    if not exhausted and not is_nearly_used:
        return  # as nearly always
    name = budget_id(budget.scope, budget.window)
    is_used = use.spent >= use.limit or name in exhausted
    until_ms = end_ms(budget.window, day_of(state.now_ms))
    found = Alerted(f"{budget.version}/{until_ms}", 2 if is_used else int(is_nearly_used))
    if _is_news(state, name, found):
        yield Alert(
            alert_id=derive_alert_id(listed_as(state.account, name), found.occasion, found.level),
            account=state.account,
            kind=BUDGET_KINDS[found.level - 1],
            scope=budget.scope,
            window=budget.window,
            limit_usd=use.limit,
            spent_usd=use.spent,
            at_ms=state.now_ms,
            until_ms=until_ms,
        )


def expiries(state: AccountState, settled: SettledLots) -> Iterator[Alert]:
    """Yield the alerts of credits that expire; the lots remember them."""
    kinds = ((AlertKind.CREDITS_EXPIRING, settled.soon), (AlertKind.CREDITS_EXPIRED, settled.over))
    for kind, lots in kinds:
        yield from (_of_lot(state, kind, lot) for lot in lots)


def _of_lot(state: AccountState, kind: AlertKind, lot: Lot) -> Alert:
    use = _credit_use(state)
    parts = (state.account, kind, lot.expires_at_ms, lot.left_usd)
    return Alert(
        alert_id=derive_alert_id(*parts),
        account=state.account,
        kind=kind,
        scope=state.account,
        limit_usd=use.limit,
        spent_usd=use.spent,
        at_ms=state.now_ms,
        until_ms=lot.expires_at_ms,
        amount_usd=lot.left_usd,
    )


def _credit_use(state: AccountState) -> LimitUse:
    start = state.prepaid_from_usd
    spent = Decimal(0) if start is None else state.spent_usd() - start
    return LimitUse(to_usd(state.credit_total), spent)


def _of_credits(state: AccountState, terms: Terms, *, is_exhausted: bool) -> Iterator[Alert]:
    use = _credit_use(state)
    is_used = is_exhausted or use.spent >= use.limit
    level = 2 if is_used else int(use.limit - use.spent < terms.low_balance_usd)
    found = Alerted(f"{len(state.credits)}", level)
    if _is_news(state, CREDITS, found):
        yield Alert(
            alert_id=derive_alert_id(state.account, found.occasion, found.level),
            account=state.account,
            kind=CREDIT_KINDS[found.level - 1],
            scope=state.account,
            limit_usd=use.limit,
            spent_usd=use.spent,
            at_ms=state.now_ms,
        )


def _is_news(state: AccountState, name: str, found: Alerted) -> bool:
    """Return whether this level was not reported yet on this occasion; from now on it counts as reported."""
    last = state.alerted.get(name)
    is_known = last is not None and last.occasion == found.occasion and last.level >= found.level
    if not found.level or is_known:
        return False
    state.alerted[name] = found
    return True
