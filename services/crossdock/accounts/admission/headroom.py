"""Headroom: how much more may be held for a key, by the tightest of its budgets. Pure.

A strict budget must cover the worst cases of calls. A fluid one must cover their expected costs, and, together with its
overshoot, their worst cases.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from crossdock.accounts.state.account import CREDITS, AccountState
from crossdock_schemas.accounts.account import ApiKey
from crossdock_schemas.accounts.budget import Budget
from crossdock_schemas.accounts.directory import budget_id, in_words
from crossdock_schemas.batches.batch import WaitReason
from crossdock_schemas.ids import AccountId
from crossdock_schemas.money import Units, to_units, to_usd, usd_text
from crossdock_schemas.windows import day_of, end_ms


@dataclass(slots=True)
class Headroom:
    """The headroom of one budget, or (None) of the credits; below 0 if more was spent than there is."""

    budget: Budget | None
    amount: Units
    is_expected: bool = False
    """For expected costs, not for worst cases."""

    @property
    def name(self) -> str:
        """The budget's identity, or `credits`."""
        return CREDITS if self.budget is None else budget_id(self.budget.scope, self.budget.window)


class KeyHeadroom(NamedTuple):
    """The tightest headroom for worst cases and for expected costs; None where nothing binds."""

    worst_case: Headroom | None
    expected: Headroom | None

    def hold(self, held: Units, spare: Units) -> None:
        """Take a new hold off. All budgets count it, so the tightest ones stay the tightest."""
        if self.worst_case is not None:
            self.worst_case.amount -= held
        if self.expected is not None:
            self.expected.amount -= held - spare


class Affordable(NamedTuple):
    """How many lines, from the first on, the headroom covers, and why not the next one."""

    lines: int
    headroom: Headroom | None = None
    """After those lines; None: it covers all."""
    cost: Units = 0
    """The worst case, or the expected cost, of the next line."""


def headroom_of(state: AccountState, key: ApiKey, scopes: Iterable[str] = ()) -> KeyHeadroom:
    """Return the headroom under the budgets of organization, project, key and `scopes`, and under the credits.

    The state's totals are those of today.
    """
    found = headroom_of_scopes(state, (state.account, key.project, key.key_id, *scopes))
    if state.organization is None or state.organization.prepaid_from_usd is None:
        return found
    credits = Headroom(None, state.credits_left())
    return found._replace(worst_case=_tighter(found.worst_case, credits))


def headroom_of_scopes(state: AccountState, scopes: Iterable[str]) -> KeyHeadroom:
    """Return the headroom under the budgets of `scopes`."""
    worst_case: Headroom | None = None
    expected: Headroom | None = None
    for scope in scopes:
        budgets = state.budgets.get(scope)
        if not budgets:
            continue
        totals = state.counted(scope)
        for budget in budgets.values():
            window, include_byok = budget.window, budget.include_byok
            most = to_units(budget.limit_usd + budget.overshoot_usd)
            left = most - totals.used(window, include_byok=include_byok)
            worst_case = _tighter(worst_case, Headroom(budget, left))
            if budget.is_fluid:
                used = totals.expected(window, include_byok=include_byok)
                left = to_units(budget.limit_usd) - used
                expected = _tighter(expected, Headroom(budget, left, is_expected=True))
    return KeyHeadroom(worst_case, expected)


def _tighter(one: Headroom | None, other: Headroom) -> Headroom:
    return other if one is None or other.amount < one.amount else one


def affordable(
    headroom: KeyHeadroom, worst_cases: Sequence[Units], expected: Sequence[Units]
) -> Affordable:
    """Return how many lines with these worst cases and expected costs the headroom covers."""
    by_worst_case = _affordable(headroom.worst_case, worst_cases)
    if headroom.expected is None:
        return by_worst_case
    by_expected = _affordable(headroom.expected, expected)
    return by_expected if by_expected.lines < by_worst_case.lines else by_worst_case


def _affordable(headroom: Headroom | None, costs: Sequence[Units]) -> Affordable:
    if headroom is None:
        return Affordable(len(costs))
    left = headroom.amount
    for count, cost in enumerate(costs):
        if cost > left:
            return Affordable(count, Headroom(headroom.budget, left, headroom.is_expected), cost)
        left -= cost
    return Affordable(len(costs))


def budget_wait_reason(
    headroom: Headroom, account: AccountId, cost: Units, now_ms: int
) -> WaitReason:
    """Return why a line of this `cost` cannot begin, with the numbers."""
    budget = headroom.budget
    left, cost_text = usd_text(to_usd(max(headroom.amount, 0))), usd_text(to_usd(cost))
    if budget is None:
        return WaitReason(
            code="insufficient_credits",
            message=f"The organization has {left} USD of credits left; this can cost up to "
            f"{cost_text} USD. Ask the operator for a top-up.",
            scope=account,
            since_ms=now_ms,
        )
    is_beyond = budget.is_fluid and not headroom.is_expected
    limit = f"{usd_text(budget.limit_usd)} USD"
    limit += f" and {usd_text(budget.overshoot_usd)} USD beyond it" if is_beyond else ""
    can = "is likely to cost" if headroom.is_expected else "can cost up to"
    return WaitReason(
        code="budget_exceeded",
        message=f"The {budget.window.value} budget of {in_words(budget.scope)} leaves {left} USD of "
        f"{limit}; this {can} {cost_text} USD.",
        scope=budget.scope,
        since_ms=now_ms,
        until_ms=end_ms(budget.window, day_of(now_ms)),
    )
