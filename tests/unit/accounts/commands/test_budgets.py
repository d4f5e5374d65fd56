"""Budgets as commands: set, replaced, cleared, inherited; and who may."""

from decimal import Decimal
from typing import Any

import pytest

from crossdock.accounts.core import AccountsCore
from crossdock_schemas.accounts.account import Role
from crossdock_schemas.accounts.budget import Limit
from crossdock_schemas.accounts.control import (
    BudgetChange,
    BudgetRemoval,
    Change,
    KeyAsked,
    KeyDeletion,
    KeyRotation,
    PolicyChange,
    Refusal,
)
from crossdock_schemas.accounts.policy import Rules
from crossdock_schemas.batches.batch import Granted
from crossdock_schemas.ids import ChangeId, KeyId
from crossdock_schemas.topics import BATCH_COMMANDS
from crossdock_schemas.windows import Window
from support.builders import make_parcel
from unit.accounts.builders import (
    ACME,
    NOW_MS,
    PROJECT,
    ask_key,
    common,
    make_founded,
    make_key,
    units,
)

APP = KeyId("key_app")


@pytest.fixture
def core() -> AccountsCore:
    made = AccountsCore()
    made.apply(make_founded(), NOW_MS)
    for key in (make_key(APP), make_key("key_member", role=Role.MEMBER)):
        made.apply(ask_key(key), NOW_MS)
    return made


def set_budget(core: AccountsCore, scope: str = APP, window: Window = Window.DAILY, actor: str = "key_owner", **fields: Any) -> Change:  # fmt: skip
    values = {"limit_usd": Decimal(5)} | fields
    return core.apply(BudgetChange(**common(actor), scope=scope, window=window, **values), NOW_MS)


def clear(core: AccountsCore, scope: str = APP, window: Window | None = None) -> Change:
    return core.apply(BudgetRemoval(**common(), scope=scope, window=window), NOW_MS)


def windows(core: AccountsCore, scope: str = APP) -> set[Window]:
    return set(core.states[ACME].budgets.get(scope, {}))


def test_each_window_has_a_budget_of_its_own_unless_one_shall_be_the_only_one(
    core: AccountsCore,
) -> None:
    for window in (Window.DAILY, Window.TOTAL):
        set_budget(core, window=window)
    both = windows(core)

    change = set_budget(core, window=Window.MONTHLY, only=True)

    assert both == {Window.DAILY, Window.TOTAL}
    assert windows(core) == {Window.MONTHLY}
    assert change.after["ended"] == '["total", "daily"]'


@pytest.mark.parametrize("scope", ["key_none", "proj_none", "org_other"])
def test_what_does_not_exist_has_no_budget(core: AccountsCore, scope: str) -> None:
    assert set_budget(core, scope).refusal is Refusal.NOT_FOUND


def test_one_window_is_cleared_or_all(core: AccountsCore) -> None:
    for window in (Window.DAILY, Window.TOTAL, Window.WEEKLY):
        set_budget(core, window=window)

    one = clear(core, window=Window.DAILY)
    rest = clear(core)
    none = [clear(core), clear(core, window=Window.DAILY)]

    assert (one.refusal, rest.refusal, windows(core)) == (None, None, set())
    assert rest.after["ended"] == '["total", "weekly"]'
    assert [change.refusal for change in none] == [Refusal.NOT_FOUND] * 2


def test_a_key_is_made_with_its_limit(core: AccountsCore) -> None:
    limit = Limit(window=Window.WEEKLY, limit_usd=Decimal("2.50"))
    asked = KeyAsked(change_id=ChangeId("change_2"), account=ACME, actor=KeyId("key_owner"), at_ms=NOW_MS, key=make_key("key_new"), limit=limit)  # fmt: skip

    change = core.apply(asked, NOW_MS)

    assert windows(core, "key_new") == {Window.WEEKLY}
    assert (change.after["limit_usd"], change.after["window"]) == ('"2.50"', '"weekly"')


def test_a_deleted_keys_budgets_end(core: AccountsCore) -> None:
    set_budget(core)

    core.apply(KeyDeletion(**common(), key_id=APP), NOW_MS)

    assert windows(core) == set()


def test_a_rotated_keys_successor_has_its_budgets_and_its_policy(core: AccountsCore) -> None:
    set_budget(core)
    core.apply(PolicyChange(**common(), scope=APP, rules=Rules(ignored_models=("gull",))), NOW_MS)
    rotation = KeyRotation(**common(), key_id=APP, successor=KeyId("key_next"), hash="d" * 64, label="l", overlap_s=60)  # fmt: skip

    change = core.apply(rotation, NOW_MS)

    state = core.states[ACME]
    assert windows(core, "key_next") == {Window.DAILY}
    assert state.policies["policy_key_next"].rules == state.policies[f"policy_{APP}"].rules
    assert change.after["budgets"] == '{"daily": "5"}'


@pytest.mark.parametrize(
    ("scope", "refusal"),
    [(APP, None), (PROJECT, Refusal.PERMISSION_DENIED), ("key_owner", Refusal.PERMISSION_DENIED)],
    ids=["an inference key", "its project", "a management key"],
)
def test_a_member_limits_the_keys_that_it_manages(
    core: AccountsCore, scope: str, refusal: Refusal | None
) -> None:
    assert set_budget(core, scope, actor="key_member").refusal is refusal


def waits(core: AccountsCore) -> None:
    """Let lines of a batch wait for money."""
    set_budget(core, limit_usd=Decimal(1))
    parcel = make_parcel(account=ACME, project=PROJECT, key_id=APP, lines=(0, 1), position=0)
    core.ledger.admit(parcel, [units(1)] * 2, NOW_MS)
    core.finish()


def granted(core: AccountsCore) -> list[int | None]:
    core.ledger.grant(NOW_MS)
    records = [r for r in core.finish().outgoing if r.topic == BATCH_COMMANDS.name]
    return [Granted.from_json(record.value or b"").lines for record in records]


def test_who_waits_goes_on_when_the_budget_is_raised_and_is_told_once(core: AccountsCore) -> None:
    waits(core)
    before = granted(core)

    set_budget(core, limit_usd=Decimal(2))

    assert (before, granted(core), granted(core)) == ([], [None], [])


@pytest.mark.parametrize("what", ["the budget", "the key"])
def test_who_waits_goes_on_when_nothing_binds_any_more(core: AccountsCore, what: str) -> None:
    waits(core)

    if what == "the budget":
        clear(core)
    else:
        core.apply(KeyDeletion(**common(), key_id=APP), NOW_MS)

    assert granted(core) == [None]
