"""Request and answer models of the key routes: OpenRouter's fields, and ours."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from pydantic import AliasPath, Field

from crossdock.ingress.management.budget_models import BalanceObject
from crossdock.ingress.values import errors, types
from crossdock.ingress.values.balances import Balance, tightest
from crossdock.ingress.values.models import AnswerModel, Data, Listed, QueryModel, RequestModel
from crossdock_schemas.accounts.account import MAX_RPM, MAX_TPM, ApiKey, Role
from crossdock_schemas.accounts.budget import Limit
from crossdock_schemas.accounts.journal import Spend
from crossdock_schemas.pricing.catalogue import Region
from crossdock_schemas.windows import Window

DAY_S = 86_400
WINDOWS = ("", "_daily", "_weekly", "_monthly")
Reset = Literal["daily", "weekly", "monthly"]


class LimitFields(RequestModel):
    """OpenRouter's fields for a key's own budget."""

    limit: types.Amount | None = None
    """Null: no limit. A change to null removes all budgets of the key itself."""
    limit_reset: Reset | None = None
    """When the limit starts again (UTC; a week begins on Monday); null: never."""
    include_byok_in_limit: types.Flag | None = None
    """Whether calls with BYOK keys count too."""

    @property
    def has_limit(self) -> bool:
        return not self.model_fields_set.isdisjoint(LimitFields.model_fields)

    def over(self, present: Limit | None) -> Limit | None:
        """Return the limit of a key whose limit is `present`; None: no limit.

        A field that is not sent stays as it is: an amount alone keeps the window, a window alone keeps the amount.

        Raises:
            RefusedError: 400 for a window, or a wish to count BYOK keys, without an amount.
        """
        is_kept = "limit" not in self.model_fields_set
        usd = present.limit_usd if is_kept and present is not None else self.limit
        if usd is None:
            self._check_no_limit()
            return None
        usual = present or Limit(limit_usd=usd)
        changes: dict[str, Any] = {"limit_usd": usd}
        if "limit_reset" in self.model_fields_set:
            changes["window"] = Window(self.limit_reset or Window.TOTAL)
        if self.include_byok_in_limit is not None:
            changes["include_byok"] = self.include_byok_in_limit
        return usual.model_copy(update=changes)

    def _check_no_limit(self) -> None:
        if self.limit_reset is not None:
            rule = "There is no limit to reset: send `limit` too."
            raise errors.wrong_value("limit_reset", self.limit_reset, rule)
        if self.include_byok_in_limit:
            rule = "There is no limit that could include them: send `limit` too."
            raise errors.wrong_value("include_byok_in_limit", True, rule)


class KeyFields(LimitFields):
    """Fields that can be set when a key is created, and changed later."""

    tags: types.Tags | None = None
    allowed_ips: types.Networks | None = None
    """Networks in CIDR form from which the key may be used; empty: from everywhere."""
    rpm: types.Whole | None = Field(None, ge=0, le=MAX_RPM)
    """Requests a minute at most; 0: no limit."""
    tpm: types.Whole | None = Field(None, ge=0, le=MAX_TPM)
    """Tokens a minute at most, input and output; 0: no limit."""


class KeyCreate(KeyFields):
    name: types.Name
    project_id: types.ProjectId | None = None
    """Null: the project of the key that asks."""
    role: Role | None = None
    """The role of a management key; null: an inference key."""
    expires_at: types.SentTime | None = None


class KeyUpdate(KeyFields):
    name: types.Name | None = None
    disabled: types.Flag | None = None

    def changes(self) -> dict[str, Any]:
        """Return the changes besides the limit, which is a budget and has its own command."""
        return {name: value for name, value in self.given().items() if name not in LimitFields.model_fields}  # fmt: skip


class KeyRotate(RequestModel):
    overlap_s: types.Whole | None = Field(DAY_S, ge=0, le=365 * DAY_S)
    """Seconds for which the old key stays valid; null: a day."""


class KeyQuery(QueryModel):
    offset: types.QueryNumber = Field(0, ge=0, le=10**6)
    project_id: types.ProjectId | None = None
    """Only keys of this project."""
    include_disabled: types.QueryFlag = "false"
    include_expired: types.QueryFlag = "false"


class KeyObject(AnswerModel):
    """An API key, without its text."""

    id: types.KeyId = Field(validation_alias="key_id")
    hash: types.KeyHash
    name: types.Name
    label: str
    """The key's beginning and end, to be recognized by."""
    disabled: bool
    role: Role | None
    """The role of a management key; null: an inference key."""
    organization_id: types.OrganizationId = Field(validation_alias="account")
    project_id: types.ProjectId = Field(validation_alias="project")
    workspace_id: types.ProjectId = Field(validation_alias=AliasPath("project"))
    """The project, by OpenRouter's name."""
    creator_user_id: None = None
    external_user: None = None
    tags: dict[str, str]
    allowed_ips: tuple[str, ...]
    """Networks in CIDR form from which it may be used; empty: from everywhere."""
    usage: types.DoubleUsd
    usage_daily: types.DoubleUsd
    usage_weekly: types.DoubleUsd
    usage_monthly: types.DoubleUsd
    byok_usage: types.DoubleUsd
    byok_usage_daily: types.DoubleUsd
    byok_usage_weekly: types.DoubleUsd
    byok_usage_monthly: types.DoubleUsd
    rpm: int | None = Field(ge=1, le=MAX_RPM)
    """Requests a minute at most; null: no limit."""
    tpm: int | None = Field(ge=1, le=MAX_TPM)
    """Tokens a minute at most; null: no limit."""
    limit: types.DoubleUsd | None
    """The headroom of the budget of this key that has the least."""
    limit_reset: Reset | None
    """When the limit starts again; null: never."""
    limit_remaining: types.DoubleUsd | None
    include_byok_in_limit: bool
    creator_key_id: types.KeyId | None = Field(validation_alias="creator")
    rotated_from: types.KeyId | None
    created_at: types.Time = Field(validation_alias="created_at_ms")
    updated_at: types.Time = Field(validation_alias="updated_at_ms")
    expires_at: types.Time | None = Field(validation_alias="expires_at_ms")


class RateLimit(AnswerModel):
    """Not used: `rpm` and `tpm` are the limits. OpenRouter's SDK needs it."""

    interval: Literal["60s"] = "60s"
    note: str = "Deprecated. See rpm and tpm."
    requests: Literal[-1] = -1


class FreeModelRequests(AnswerModel):
    """There are no free models. OpenRouter's SDK needs it."""

    limit: Literal[0] = 0
    remaining: Literal[0] = 0
    used: Literal[0] = 0


class OwnKeyObject(KeyObject):
    """The key that asks."""

    is_management_key: bool = Field(validation_alias="is_management")
    is_provisioning_key: bool = Field(validation_alias=AliasPath("is_management"))
    """The same, by OpenRouter's older name."""
    is_free_tier: Literal[False] = False
    allowed_data_regions: tuple[Region, ...]
    """The regions that the policies of organization, project and key allow."""
    rate_limit: RateLimit = RateLimit()
    free_model_daily_requests: FreeModelRequests = FreeModelRequests()
    budgets: tuple[BalanceObject, ...]
    """All that bind it."""


class KeyCreated(AnswerModel):
    data: KeyObject
    key: str
    """The key itself, this once."""


KeyAnswer = Data[KeyObject]
KeysAnswer = Listed[KeyObject]
OwnKeyAnswer = Data[OwnKeyObject]


def show_key(
    key: ApiKey, spend: Spend | None, balances: Sequence[Balance], now_ms: int
) -> KeyObject:
    """Return a key with its usage and its limit: of its own `balances` the tightest."""
    return KeyObject.of(key, **usage_of(key, spend, balances, now_ms))


def usage_of(
    key: ApiKey, spend: Spend | None, balances: Sequence[Balance], now_ms: int
) -> dict[str, Any]:
    """Return the fields of a key object that the key does not have."""
    usual = Spend(account=key.account, project=key.project, key_id=key.key_id, at_ms=now_ms)
    spent = (spend or usual).as_of(now_ms)
    return {**_spending(spent), **_limit(tightest(balances))}


def _spending(spent: Spend) -> Mapping[str, Decimal]:
    """Return the cost of calls with installation keys, and apart from it that of calls with BYOK keys."""
    whole = (spent.total_usd, spent.day_usd, spent.week_usd, spent.month_usd)
    byok = (spent.byok_usd, spent.byok_day_usd, spent.byok_week_usd, spent.byok_month_usd)
    shared = {f"usage{w}": a - b for w, a, b in zip(WINDOWS, whole, byok, strict=True)}
    return shared | {f"byok_usage{w}": b for w, b in zip(WINDOWS, byok, strict=True)}


def _limit(balance: Balance | None) -> dict[str, Any]:
    budget = None if balance is None else balance.budget
    is_endless = budget is None or budget.window is Window.TOTAL
    return {
        "limit": None if budget is None else budget.limit_usd,
        "limit_reset": None if budget is None or is_endless else budget.window.value,
        "limit_remaining": None if balance is None else balance.remaining_usd,
        "include_byok_in_limit": budget is not None and budget.include_byok,
    }
