"""Alerts: budgets and credits are nearly spent, spent, or refuse a line; usage is disputed; credits expire. Pure.

Each level is reported once per occasion. The next window of a budget, a new limit and a top-up are new occasions; of a
refusal and of a dispute, the next day.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from crossdock.accounts.ledger.credit_lots import SettledLots
from crossdock.accounts.outputs import alert_record
from crossdock.accounts.state.account import CREDITS, AccountState, Alerted
from crossdock.accounts.state.pages import alerted_page
from crossdock.kernel.runtime.shard.step_builder import StepBuilder
from crossdock_schemas.accounts.alert import NEARLY, Alert, AlertKind
from crossdock_schemas.accounts.budget import Budget
from crossdock_schemas.accounts.credit import Lot, Terms
from crossdock_schemas.accounts.directory import budget_id, listed_as
from crossdock_schemas.calls.usage import Charge
from crossdock_schemas.ids import AccountId, derive_alert_id
from crossdock_schemas.money import Units, to_usd
from crossdock_schemas.windows import Window, day_of, end_ms

BUDGET_KINDS = (AlertKind.BUDGET_NEARLY_USED, AlertKind.BUDGET_USED)
CREDIT_KINDS = (AlertKind.CREDITS_LOW, AlertKind.CREDITS_USED)


class LimitUse(NamedTuple):
    """A limit, and what of it is spent, USD."""

    limit: Decimal
    spent: Decimal


class LimitRefusal(NamedTuple):
    """A budget, or (None) the credits, that did not cover a line of this worst case or expected cost."""

    budget: Budget | None
    cost: Units


@dataclass
class Dispute:
    """The booked and the disputed cost of calls at one provider, USD."""

    booked: Decimal = Decimal(0)
    disputed: Decimal = Decimal(0)


class NamedAlert(NamedTuple):
    """An alert, and the name under which the state remembers it."""

    name: str
    alert: Alert


class DueAlerts:
    """Refusals and disputes since the last step, and all alerts of a step."""

    def __init__(self, terms: Terms, step: StepBuilder) -> None:
        self._terms = terms
        self._step = step
        self._refusals: dict[AccountId, dict[str, LimitRefusal]] = {}
        """By identity of a budget, or CREDITS."""
        self._disputes: dict[AccountId, dict[str, Dispute]] = {}
        """By provider."""

    def refuse(self, account: AccountId, name: str, refusal: LimitRefusal) -> None:
        self._refusals.setdefault(account, {})[name] = refusal

    def dispute(self, charge: Charge, usd: Decimal) -> None:
        """Add a call whose report is disputed by so much."""
        disputes = self._disputes.setdefault(charge.account, {})
        dispute = disputes.setdefault(charge.provider, Dispute())
        dispute.booked += charge.cost.total
        dispute.disputed += usd

    def send(self, state: AccountState, scopes: Collection[str]) -> None:
        """Send the alerts of an account; `scopes`: their totals changed."""
        for name, alert in (
            *alerts(state, scopes, self._terms),
            *refusal_alerts(state, self._refusals.pop(state.account, {})),
            *dispute_alerts(state, self._disputes.pop(state.account, {})),
        ):
            self._step.send(alert_record(alert))
            self._step.keep(alerted_page(state, name))


def alerts(state: AccountState, scopes: Collection[str], terms: Terms) -> Iterator[NamedAlert]:
    """Yield the alerts of what is spent, in the order of their levels, and remember them in the state.

    `scopes`: their totals changed.
    """
    for scope in scopes:
        for budget in state.budgets.get(scope, {}).values():
            yield from _of_budget(state, budget)
    if state.prepaid_from_usd is not None:
        yield from _of_credits(state, terms)


def _of_budget(state: AccountState, budget: Budget) -> Iterator[NamedAlert]:
    use = _budget_use(state, budget)
    if use.spent < use.limit * NEARLY:
        return  # as nearly always
    name = budget_id(budget.scope, budget.window)
    until_ms = end_ms(budget.window, day_of(state.now_ms))
    occasion = f"{budget.version}/{until_ms}"
    for level in _news(state, name, occasion, (True, use.spent >= use.limit)):
        alert = Alert(
            alert_id=derive_alert_id(listed_as(state.account, name), occasion, level),
            account=state.account,
            kind=BUDGET_KINDS[level - 1],
            scope=budget.scope,
            window=budget.window,
            limit_usd=use.limit,
            spent_usd=use.spent,
            at_ms=state.now_ms,
            until_ms=until_ms,
        )
        yield NamedAlert(name, alert)


def _budget_use(state: AccountState, budget: Budget) -> LimitUse:
    totals = state.counted(budget.scope)
    spent = totals.spent_in(budget.window, include_byok=budget.include_byok)
    return LimitUse(budget.limit_usd, to_usd(spent))


def refusal_alerts(
    state: AccountState, refusals: Mapping[str, LimitRefusal]
) -> Iterator[NamedAlert]:
    """Yield the alerts of budgets and credits that refused a line, once a day each. `refusals`: by their identities."""
    day = day_of(state.now_ms)
    for identity, (budget, cost) in refusals.items():
        name = f"refused_{identity}"
        for _ in _news(state, name, f"{day}", (True,)):
            of_budget = budget is not None
            use = _credit_use(state) if budget is None else _budget_use(state, budget)
            scope = state.account if budget is None else budget.scope
            window = Window.TOTAL if budget is None else budget.window
            alert = Alert(
                alert_id=derive_alert_id(listed_as(state.account, name), day),
                account=state.account,
                kind=AlertKind.BUDGET_REFUSED if of_budget else AlertKind.CREDITS_REFUSED,
                scope=scope,
                window=window if of_budget else None,
                limit_usd=use.limit,
                spent_usd=use.spent,
                held_usd=to_usd(state.counted(scope).held[window]),
                at_ms=state.now_ms,
                until_ms=end_ms(window, day) if of_budget else None,
                amount_usd=to_usd(cost),
            )
            yield NamedAlert(name, alert)


def dispute_alerts(state: AccountState, disputes: Mapping[str, Dispute]) -> Iterator[NamedAlert]:
    """Yield the alerts of reports of providers that are disputed, once a day each. `disputes`: by provider."""
    day = day_of(state.now_ms)
    for provider, dispute in disputes.items():
        name = f"disputed_{provider}"
        for _ in _news(state, name, f"{day}", (True,)):
            alert = Alert(
                alert_id=derive_alert_id(listed_as(state.account, name), day),
                account=state.account,
                kind=AlertKind.USAGE_DISPUTED,
                scope=state.account,
                limit_usd=dispute.booked,
                spent_usd=dispute.booked + dispute.disputed,
                provider=provider,
                at_ms=state.now_ms,
                amount_usd=dispute.disputed,
            )
            yield NamedAlert(name, alert)


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


def _of_credits(state: AccountState, terms: Terms) -> Iterator[NamedAlert]:
    use = _credit_use(state)
    reached = (use.limit - use.spent < terms.low_balance_usd, use.spent >= use.limit)
    occasion = f"{len(state.credits)}"
    for level in _news(state, CREDITS, occasion, reached):
        alert = Alert(
            alert_id=derive_alert_id(state.account, occasion, level),
            account=state.account,
            kind=CREDIT_KINDS[level - 1],
            scope=state.account,
            limit_usd=use.limit,
            spent_usd=use.spent,
            at_ms=state.now_ms,
        )
        yield NamedAlert(CREDITS, alert)


def _news(state: AccountState, name: str, occasion: str, reached: Sequence[bool]) -> Sequence[int]:
    """Return the levels (from 1) that are reached and were not reported yet on this occasion; they are reported now."""
    last = state.alerted.get(name)
    known = last.level if last is not None and last.occasion == occasion else 0
    news = [level for level, is_reached in enumerate(reached, 1) if is_reached and level > known]
    if news:
        state.alerted[name] = Alerted(occasion, news[-1])
    return news
