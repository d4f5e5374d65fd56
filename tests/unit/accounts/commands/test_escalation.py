"""A member makes no key that may more than its own; admins and owners may."""

from decimal import Decimal
from typing import Any

import pytest

from crossdock.accounts.core import AccountsCore
from crossdock_schemas.accounts.account import Role
from crossdock_schemas.accounts.budget import Limit
from crossdock_schemas.accounts.control import (
    BudgetChange,
    BudgetRemoval,
    KeyChange,
    PolicyChange,
    ProjectChange,
    Refusal,
)
from crossdock_schemas.accounts.policy import Rules
from crossdock_schemas.ids import KeyId
from crossdock_schemas.windows import Window
from unit.accounts.builders import ACME, NOW_MS, PROJECT, ask_key, common, make_founded, make_key

MEMBER = KeyId("key_member")
APP = KeyId("key_app")
DENIED = Refusal.PERMISSION_DENIED


@pytest.fixture
def core() -> AccountsCore:
    core = AccountsCore()
    core.apply(make_founded(), NOW_MS)
    core.apply(ProjectChange(**common(), project=PROJECT, tags={"team": "search"}), NOW_MS)
    own: dict[str, Any] = {
        "rpm": 10, "tpm": 1000, "tags": {"cost": "a"}, "allowed_ips": ("10.0.0.0/8",),
        "expires_at_ms": NOW_MS + 10_000,
    }  # fmt: skip
    core.apply(ask_key(make_key(MEMBER, role=Role.MEMBER, **own)), NOW_MS)
    core.apply(BudgetChange(**common(), scope=MEMBER, window=Window.DAILY, limit_usd=Decimal(5)), NOW_MS)  # fmt: skip
    core.apply(PolicyChange(**common(), scope=MEMBER, rules=Rules(zdr=True)), NOW_MS)
    core.apply(ask_key(make_key("key_admin", role=Role.ADMIN)), NOW_MS)
    core.apply(ask_key(make_key(APP)), NOW_MS)
    return core


WITHIN: dict[str, Any] = {
    "rpm": 10, "tpm": 900, "tags": {"cost": "a"}, "allowed_ips": ("10.1.0.0/16",),
    "expires_at_ms": NOW_MS + 10_000,
}  # fmt: skip


def make(
    core: AccountsCore, actor: str = MEMBER, limit: Limit | None = None, **fields: Any
) -> Refusal | None:
    limit = limit or Limit(window=Window.TOTAL, limit_usd=Decimal(5))
    asked = ask_key(make_key("key_new", **WITHIN | fields), actor).model_copy(update={"limit": limit})  # fmt: skip
    return core.apply(asked, NOW_MS).refusal


def test_a_key_within_the_members_own_is_made_and_its_policy_binds_it(core: AccountsCore) -> None:
    assert make(core) is None
    assert core.states[ACME].policies["policy_key_new"].rules.zdr


@pytest.mark.parametrize(
    "fields",
    [
        {"rpm": None},
        {"rpm": 11},
        {"tpm": None},
        {"tpm": 1001},
        {"allowed_ips": ()},
        {"allowed_ips": ("10.0.0.0/7",)},
        {"allowed_ips": ("10.1.0.0/16", "::/0")},
        {"expires_at_ms": None},
        {"expires_at_ms": NOW_MS + 10_001},
        {"tags": {}},
        {"tags": {"cost": "b"}},
        {"tags": {"cost": "a", "team": "other"}},
        {"limit": Limit(window=Window.TOTAL, limit_usd=Decimal("5.01"))},
        {"limit": Limit(window=Window.DAILY, limit_usd=Decimal(5), overshoot_usd=Decimal(1))},
    ],
    ids=str,
)
def test_a_key_above_the_members_own_is_refused_and_made_by_an_admin(
    core: AccountsCore, fields: dict[str, Any]
) -> None:
    assert make(core, **fields) is DENIED
    assert make(core, "key_admin", **fields) is None


def test_a_member_changes_keys_within_its_own_limits_only(core: AccountsCore) -> None:
    def change(actor: str = MEMBER, **fields: Any) -> Refusal | None:
        return core.apply(KeyChange(**common(actor), key_id=APP, **fields), NOW_MS).refusal

    assert [change(name="b"), change(disabled=True), change(disabled=False), change(rpm=10)] == [None] * 4  # fmt: skip
    above: list[dict[str, Any]] = [{"rpm": 0}, {"rpm": 11}, {"tpm": 0}, {"allowed_ips": ()}, {"tags": {}}]  # fmt: skip
    assert [change(**fields) for fields in above] == [DENIED] * 5
    assert [change("key_admin", **fields) for fields in above] == [None] * 5


def test_a_member_keeps_the_budgets_of_its_keys_within_its_own(core: AccountsCore) -> None:
    def limit(usd: int, actor: str = MEMBER) -> Refusal | None:
        command = BudgetChange(**common(actor), scope=APP, window=Window.DAILY, limit_usd=Decimal(usd))  # fmt: skip
        return core.apply(command, NOW_MS).refusal

    assert [limit(6), limit(5), limit(4)] == [DENIED, None, None]
    assert core.apply(BudgetRemoval(**common(MEMBER), scope=APP), NOW_MS).refusal is DENIED
    assert [limit(100, "key_admin"), limit(100)] == [None, DENIED]
    assert core.apply(BudgetRemoval(**common("key_admin"), scope=APP), NOW_MS).refusal is None


def test_a_member_without_limits_sets_any_but_keeps_the_projects_tags(core: AccountsCore) -> None:
    core.apply(ask_key(make_key("key_free", role=Role.MEMBER)), NOW_MS)

    assert make(core, "key_free", rpm=None, tpm=None, allowed_ips=(), expires_at_ms=None, tags={}) is None  # fmt: skip
    change = KeyChange(**common("key_free"), key_id=APP, tags={"team": "other"})
    assert core.apply(change, NOW_MS).refusal is DENIED
