"""Balances: headroom of budgets and credits, from the spending and the holds of keys. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter

from crossdock_schemas.accounts.account import Organization
from crossdock_schemas.accounts.budget import Budget
from crossdock_schemas.accounts.credit import Credit
from crossdock_schemas.accounts.journal import MarkSpend, Spend, Spending
from crossdock_schemas.windows import Window, day_of, end_ms

Read = Callable[[Spending], Decimal]
SPENT: dict[Window, Read] = {
    Window.TOTAL: attrgetter("total_usd"),
    Window.DAILY: attrgetter("day_usd"),
    Window.WEEKLY: attrgetter("week_usd"),
    Window.MONTHLY: attrgetter("month_usd"),
}
BYOK: dict[Window, Read] = {
    Window.TOTAL: attrgetter("byok_usd"),
    Window.DAILY: attrgetter("byok_day_usd"),
    Window.WEEKLY: attrgetter("byok_week_usd"),
    Window.MONTHLY: attrgetter("byok_month_usd"),
}
SPARE: dict[Window, Read] = {
    Window.TOTAL: attrgetter("spare_usd"),
    Window.DAILY: attrgetter("spare_day_usd"),
    Window.WEEKLY: attrgetter("spare_week_usd"),
    Window.MONTHLY: attrgetter("spare_month_usd"),
}
HELD: dict[Window, Read] = {
    Window.TOTAL: attrgetter("held_usd"),
    Window.DAILY: attrgetter("held_day_usd"),
    Window.WEEKLY: attrgetter("held_week_usd"),
    Window.MONTHLY: attrgetter("held_month_usd"),
}


@dataclass(frozen=True, slots=True)
class Balance:
    """A budget, and what counts of the spending and the holds of its scope in its window, USD."""

    budget: Budget
    spend_usd: Decimal
    held_usd: Decimal
    spare_usd: Decimal
    """Worst case less expected cost of the holds: a fluid budget does not count it."""
    resets_at_ms: int | None
    """When the window ends; None: never."""

    @property
    def remaining_usd(self) -> Decimal:
        """Headroom; not below 0, even if a lowered limit is exceeded."""
        counted = self.held_usd - (self.spare_usd if self.budget.is_fluid else Decimal(0))
        return max(Decimal(0), self.budget.limit_usd - self.spend_usd - counted)


def balances_of(
    budgets: Iterable[Budget],
    spends: Iterable[Spend | MarkSpend],
    now_ms: int,
    root_of: Callable[[str], str] = str,
) -> tuple[Balance, ...]:
    """Return the balance of each budget, in their order. `spends` may contain those of other scopes.

    `root_of` returns the scope that counts for a budget's: see `Spend.rotation_root`.
    """
    counted = [(budget, root_of(budget.scope)) for budget in budgets]
    by_scope = _by_scope({scope for _, scope in counted}, spends, now_ms)
    return tuple(_balance(budget, by_scope.get(scope, ()), now_ms) for budget, scope in counted)


@dataclass(frozen=True, slots=True)
class Worth:
    """An organization's credits and what it spent of them, USD."""

    credits_usd: Decimal
    spent_usd: Decimal
    """Since it needs credits; all of it if it needs none."""
    held_usd: Decimal
    """Worst case of the calls that run or may begin."""
    is_prepaid: bool

    @property
    def balance_usd(self) -> Decimal:
        """Credits that are not spent, held ones included; below 0 if spent credits were removed."""
        return self.credits_usd - self.spent_usd


def worth_of(
    organization: Organization, credits: Iterable[Credit], spends: Iterable[Spend]
) -> Worth:
    """Return the worth of `organization`. `credits` and `spends` may contain those of others."""
    account, begun = organization.account, organization.prepaid_from_usd
    own = [spend for spend in spends if spend.account == account]
    spent = sum((spend.total_usd for spend in own), Decimal(0))
    return Worth(
        credits_usd=sum((c.amount_usd for c in credits if c.account == account), Decimal(0)),
        spent_usd=spent - (begun or Decimal(0)),
        held_usd=sum((spend.held_usd for spend in own), Decimal(0)),
        is_prepaid=begun is not None,
    )


def tightest(balances: Iterable[Balance]) -> Balance | None:
    """Return the one with the least remaining; None of none."""
    return min(balances, key=lambda balance: balance.remaining_usd, default=None)


def _by_scope(
    scopes: set[str], spends: Iterable[Spend | MarkSpend], now_ms: int
) -> dict[str, Sequence[Spending]]:
    found: defaultdict[str, list[Spending]] = defaultdict(list)
    for spend in spends if scopes else ():
        for scope in scopes & spend.scopes:
            found[scope].append(spend.as_of(now_ms))
    return dict(found)


def _balance(budget: Budget, spends: Sequence[Spending], now_ms: int) -> Balance:
    spent, held = SPENT[budget.window], HELD[budget.window]
    uncounted = () if budget.include_byok else map(BYOK[budget.window], spends)
    return Balance(
        budget=budget,
        spend_usd=sum(map(spent, spends), Decimal(0)) - sum(uncounted, Decimal(0)),
        held_usd=sum(map(held, spends), Decimal(0)),
        spare_usd=sum(map(SPARE[budget.window], spends), Decimal(0)),
        resets_at_ms=end_ms(budget.window, day_of(now_ms)),
    )
