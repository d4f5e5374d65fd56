"""What is left of budgets: spent and held of all keys in the scope, in the window of now."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.ingress.management.budget_models import show_budget
from crossdock.ingress.management.key_models import show_key
from crossdock.ingress.values.balances import Balance, balances_of, tightest
from crossdock_schemas.accounts.account import ApiKey
from crossdock_schemas.accounts.budget import Budget
from crossdock_schemas.accounts.journal import Spend
from crossdock_schemas.ids import AccountId, KeyId, ProjectId
from crossdock_schemas.windows import Window
from support.openapi import shown_as

NOW_MS = int(datetime(2026, 1, 29, 12, tzinfo=UTC).timestamp() * 1000)  # a Thursday
DAY_MS = 86_400_000


def make_budget(scope: str = "key_1", window: Window = Window.TOTAL, usd: str = "10") -> Budget:
    return Budget(
        account=AccountId("org_1"),
        scope=scope,
        window=window,
        limit_usd=Decimal(usd),
        version=3,
        updated_at_ms=NOW_MS,
    )


def make_spend(key: str = "key_1", project: str = "proj_1", **changes: Any) -> Spend:
    usual = {
        "account": AccountId("org_1"),
        "project": ProjectId(project),
        "key_id": KeyId(key),
        "at_ms": NOW_MS,
    }
    return Spend(**{**usual, **changes})


def make_key() -> ApiKey:
    return ApiKey(
        key_id=KeyId("key_1"),
        hash="0" * 64,
        label="sk",
        account=AccountId("org_1"),
        project=ProjectId("proj_1"),
        name="ci",
        created_at_ms=NOW_MS,
        updated_at_ms=NOW_MS,
    )


def make_windowed(at_ms: int) -> Spend:
    """Return what a key spent and holds, another amount in each window."""
    return make_spend(
        at_ms=at_ms,
        total_usd=Decimal(4),
        month_usd=Decimal(3),
        week_usd=Decimal(2),
        day_usd=Decimal(1),
        held_usd=Decimal("0.4"),
        held_month_usd=Decimal("0.3"),
        held_week_usd=Decimal("0.2"),
        held_day_usd=Decimal("0.1"),
    )


def balance_of(budget: Budget, *spends: Spend, now_ms: int = NOW_MS) -> Balance:
    (balance,) = balances_of([budget], spends, now_ms)
    return balance


@pytest.mark.parametrize(
    ("window", "spent", "held"),
    [
        (Window.TOTAL, "4", "0.4"),
        (Window.MONTHLY, "3", "0.3"),
        (Window.WEEKLY, "2", "0.2"),
        (Window.DAILY, "1", "0.1"),
    ],
)
def test_a_budget_counts_what_its_window_does(window: Window, spent: str, held: str) -> None:
    balance = balance_of(make_budget(window=window), make_windowed(NOW_MS))

    assert (balance.spend_usd, balance.held_usd) == (Decimal(spent), Decimal(held))
    assert balance.remaining_usd == 10 - Decimal(spent) - Decimal(held)


@pytest.mark.parametrize(
    ("days", "begun_anew"),
    [
        (0, set()),
        (1, {Window.DAILY}),
        (4, {Window.DAILY, Window.WEEKLY, Window.MONTHLY}),
    ],
    ids=["the same day", "the next day", "on Monday in the next month"],
)
def test_a_window_that_ended_since_has_all_of_its_budget(
    days: int, begun_anew: set[Window]
) -> None:
    now_ms = NOW_MS + days * DAY_MS
    balances = balances_of(
        [make_budget(window=window) for window in Window], [make_windowed(NOW_MS)], now_ms
    )

    whole = {b.budget.window for b in balances if b.remaining_usd == b.budget.limit_usd}

    assert whole == begun_anew


@pytest.mark.parametrize(
    ("scope", "spent"), [("org_1", 111), ("proj_1", 11), ("key_1", 1), ("key_none", 0)]
)
def test_a_scope_has_what_all_of_its_keys_spent(scope: str, spent: int) -> None:
    spends = [
        make_spend("key_1", "proj_1", total_usd=Decimal(1)),
        make_spend("key_2", "proj_1", total_usd=Decimal(10)),
        make_spend("key_3", "proj_2", total_usd=Decimal(100)),
        make_spend("key_4", "proj_9", account=AccountId("org_9"), total_usd=Decimal(1000)),
    ]

    assert balance_of(make_budget(scope), *spends).spend_usd == spent


def test_what_remains_is_not_below_nothing() -> None:
    """A limit may be lowered below what is spent already."""
    balance = balance_of(make_budget(usd="1"), make_spend(total_usd=Decimal(5)))

    assert f"{balance.remaining_usd:f}" == "0"


@given(
    st.lists(st.decimals(0, 1000, places=12), max_size=5),
    st.lists(st.decimals(0, 1000, places=12), max_size=5),
    st.decimals(0, 10_000, places=6),
)
def test_limit_is_spent_held_and_remaining(
    spent: list[Decimal], held: list[Decimal], limit: Decimal
) -> None:
    spends = [make_spend(total_usd=usd) for usd in spent] + [
        make_spend(held_usd=usd) for usd in held
    ]
    balance = balance_of(make_budget(usd=f"{limit:f}"), *spends)

    used = sum(spent) + sum(held)

    assert balance.spend_usd + balance.held_usd == used
    assert balance.remaining_usd == max(0, limit - used)


def test_of_several_budgets_the_one_with_the_least_left_counts() -> None:
    budgets = [make_budget(window=Window.TOTAL), make_budget(window=Window.DAILY, usd="3")]

    balances = balances_of(budgets, [make_spend(total_usd=Decimal(8))], NOW_MS)

    assert tightest(balances) == balances[0]
    assert tightest(balances_of(budgets, [], NOW_MS)) == balances_of([budgets[1]], [], NOW_MS)[0]
    assert tightest(()) is None


@pytest.mark.parametrize(
    ("window", "resets_at"),
    [
        (Window.TOTAL, None),
        (Window.DAILY, "2026-01-30T00:00:00Z"),
        (Window.WEEKLY, "2026-02-02T00:00:00Z"),
        (Window.MONTHLY, "2026-02-01T00:00:00Z"),
    ],
)
def test_a_budget_is_shown_in_exact_decimals(window: Window, resets_at: str | None) -> None:
    spend = make_spend(
        total_usd=Decimal("1E-12"),
        day_usd=Decimal("1E-12"),
        week_usd=Decimal("1E-12"),
        month_usd=Decimal("1E-12"),
    )

    assert shown_as(show_budget(balance_of(make_budget(window=window, usd="12.5"), spend))) == {
        "scope": "key_1",
        "level": "key",
        "window": window.value,
        "limit_usd": "12.5",
        "include_byok": False,
        "overshoot_usd": "0",
        "spend_usd": "0.000000000001",
        "held_usd": "0",
        "remaining_usd": "12.499999999999",
        "resets_at": resets_at,
        "organization_id": "org_1",
        "version": 3,
        "updated_at": "2026-01-29T12:00:00Z",
    }


LIMIT = ("limit", "limit_reset", "limit_remaining", "include_byok_in_limit")


@pytest.mark.parametrize(
    ("budgets", "shown"),
    [
        ([], (None, None, None, False)),
        ([make_budget(usd="12.5")], (12.5, None, 8.5, False)),
        ([make_budget(window=Window.MONTHLY)], (10.0, "monthly", 7.0, False)),
        ([make_budget(usd="1"), make_budget(window=Window.DAILY)], (1.0, None, 0.0, False)),
    ],
    ids=["none", "for ever", "monthly", "the tightest"],
)
def test_a_keys_limit_is_shown_as_openrouter_does(
    budgets: list[Budget], shown: tuple[object, ...]
) -> None:
    spend = make_windowed(NOW_MS).model_copy(
        update={"held_usd": Decimal(0), "held_month_usd": Decimal(0)}
    )
    said = shown_as(show_key(make_key(), spend, balances_of(budgets, [spend], NOW_MS), NOW_MS))

    assert tuple(said[name] for name in LIMIT) == shown


@pytest.mark.parametrize(("include_byok", "spent"), [(False, "3"), (True, "5")])
def test_what_own_keys_paid_for_counts_where_the_budget_says_so(
    include_byok: bool, spent: str
) -> None:
    budget = make_budget(window=Window.DAILY, usd="10").model_copy(
        update={"include_byok": include_byok}
    )
    spend = make_spend(total_usd=Decimal(9), day_usd=Decimal(5), byok_day_usd=Decimal(2))

    balance = balance_of(budget, spend)

    assert balance.spend_usd == Decimal(spent)
    assert balance.remaining_usd == 10 - Decimal(spent)
    assert show_budget(balance).include_byok is include_byok


def test_a_key_shows_apart_what_own_provider_keys_paid_for() -> None:
    spend = make_spend(
        at_ms=NOW_MS, total_usd=Decimal(9), day_usd=Decimal(5), byok_usd=Decimal(4), byok_day_usd=Decimal(2)
    )  # fmt: skip

    shown = shown_as(show_key(make_key(), spend, (), NOW_MS))

    assert (shown["usage"], shown["byok_usage"]) == (5.0, 4.0)
    assert (shown["usage_daily"], shown["byok_usage_daily"]) == (3.0, 2.0)
