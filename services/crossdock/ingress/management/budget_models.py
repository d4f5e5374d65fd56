"""Request and answer models of the budget routes."""

from decimal import Decimal
from typing import Literal

from pydantic import Field

from crossdock.ingress.values import types
from crossdock.ingress.values.balances import Balance
from crossdock.ingress.values.models import AnswerModel, Data, Listed, RequestModel
from crossdock_schemas.accounts.budget import Limit
from crossdock_schemas.accounts.directory import level_of
from crossdock_schemas.windows import Window


class BudgetSet(RequestModel):
    limit_usd: types.Amount
    include_byok: types.Flag | None = None
    """Whether calls with BYOK keys count too."""
    overshoot_usd: types.Amount | None = None
    """Above 0 the budget is fluid: it may be exceeded by this amount at most."""

    def in_window(self, window: Window) -> Limit:
        return Limit(
            window=window,
            limit_usd=self.limit_usd,
            include_byok=self.include_byok or False,
            overshoot_usd=self.overshoot_usd or Decimal(0),
        )


class BudgetUpdate(RequestModel):
    """Fields of a budget; one that is not sent, or is null, stays as it is."""

    limit_usd: types.Amount | None = None
    """Required where there is no such budget."""
    include_byok: types.Flag | None = None
    """Whether calls with BYOK keys count too."""
    overshoot_usd: types.Amount | None = None
    """Above 0 the budget is fluid: it may be exceeded by this amount at most."""


class BalanceObject(AnswerModel):
    """A budget, as the keys that it binds see it."""

    scope: types.BudgetScopeId
    level: Literal["organization", "project", "key", "user", "tag"]
    window: Window
    limit_usd: types.ExactUsd
    include_byok: bool
    """Whether calls with BYOK keys count too."""
    overshoot_usd: types.ExactUsd
    """By how much it may be exceeded at most; 0: never. Above 0 the expected cost of calls is held against the limit,
    and their worst case against limit and overshoot together."""
    spend_usd: types.ExactUsd
    held_usd: types.ExactUsd
    """Worst case of the calls that run or may begin."""
    remaining_usd: types.ExactUsd
    """Headroom; of a fluid budget by the expected cost of calls."""
    resets_at: types.Time | None = Field(validation_alias="resets_at_ms")
    """Null: never."""


class BudgetObject(BalanceObject):
    """A budget, and what is left of it."""

    organization_id: types.OrganizationId = Field(validation_alias="account")
    version: types.Version
    updated_at: types.Time = Field(validation_alias="updated_at_ms")


BudgetAnswer = Data[BudgetObject]
BudgetsAnswer = Listed[BudgetObject]


def show_balance(balance: Balance) -> BalanceObject:
    return BalanceObject.of(balance.budget, **_amounts(balance))


def show_budget(balance: Balance) -> BudgetObject:
    return BudgetObject.of(balance.budget, **_amounts(balance))


def _amounts(balance: Balance) -> dict[str, object]:
    return {
        "level": level_of(balance.budget.scope),
        "spend_usd": balance.spend_usd,
        "held_usd": balance.held_usd,
        "remaining_usd": balance.remaining_usd,
        "resets_at_ms": balance.resets_at_ms,
    }
