"""Limits and budgets as OpenRouter says them."""

from decimal import Decimal
from typing import Any

import pytest

from crossdock.ingress.management.budget_models import BudgetSet
from crossdock.ingress.management.key_models import LimitFields
from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.validation import read_model
from crossdock_schemas.accounts.budget import Limit
from crossdock_schemas.windows import Window


def make_limit(
    usd: str = "10", window: Window = Window.TOTAL, *, include_byok: bool = False
) -> Limit:
    return Limit(limit_usd=Decimal(usd), window=window, include_byok=include_byok)


def make_budget(body: dict[str, Any]) -> Limit:
    return read_model(BudgetSet, body).in_window(Window.DAILY)


def limit_over(body: dict[str, Any], present: Limit | None = None) -> Limit | None:
    return read_model(LimitFields, body).over(present)


@pytest.mark.parametrize(
    ("body", "param"),
    [({}, "limit_usd"), ({"limit_usd": None}, "limit_usd"), ({"limit": 1}, "limit")],
)
def test_a_budget_needs_an_amount_and_nothing_else(body: dict[str, Any], param: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read_model(BudgetSet, body)

    assert caught.value.param == param


def test_a_budget_is_fluid_if_it_may_be_exceeded() -> None:
    strict = make_budget({"limit_usd": 5, "overshoot_usd": None})
    fluid = make_budget({"limit_usd": 5, "overshoot_usd": "0.5"})

    assert (strict.overshoot_usd, fluid.overshoot_usd) == (Decimal(0), Decimal("0.5"))


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        ({}, None),
        ({"limit": None, "limit_reset": None, "include_byok_in_limit": False}, None),
        ({"limit_reset": None}, None),
        ({"limit": 10}, make_limit()),
        ({"limit": 10, "limit_reset": None, "include_byok_in_limit": None}, make_limit()),
        ({"limit": "10", "limit_reset": "monthly"}, make_limit(window=Window.MONTHLY)),
        ({"limit": 0}, make_limit("0")),
        ({"limit": 10, "include_byok_in_limit": True}, make_limit(include_byok=True)),
    ],
)
def test_a_new_keys_limit_is_what_is_said(body: dict[str, Any], limit: Limit | None) -> None:
    assert limit_over(body) == limit


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        ({}, make_limit(window=Window.DAILY)),
        ({"limit": 20}, make_limit("20", Window.DAILY)),
        ({"limit": 20, "limit_reset": "weekly"}, make_limit("20", Window.WEEKLY)),
        ({"limit_reset": "weekly"}, make_limit(window=Window.WEEKLY)),
        ({"limit_reset": None}, make_limit()),
        ({"limit": None}, None),
        ({"limit": None, "limit_reset": None}, None),
    ],
    ids=[
        "nothing", "an amount alone", "both", "a window alone", "the endless window", "no limit",
        "no limit, as it is shown",
    ],
)  # fmt: skip
def test_what_is_not_said_of_a_limit_stays(body: dict[str, Any], limit: Limit | None) -> None:
    assert limit_over(body, make_limit(window=Window.DAILY)) == limit


@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        ({"limit": 1, "limit_reset": "yearly"}, "limit_reset", "'daily', 'weekly', 'monthly'"),
        ({"limit": 1, "limit_reset": "total"}, "limit_reset", "'daily', 'weekly', 'monthly'"),
        ({"limit": 1, "limit_reset": ["daily"]}, "limit_reset", "Supported values"),
        ({"limit_reset": "daily"}, "limit_reset", "no limit to reset"),
        ({"limit": None, "limit_reset": "daily"}, "limit_reset", "no limit to reset"),
        ({"include_byok_in_limit": True}, "include_byok_in_limit", "no limit that could"),
        ({"include_byok_in_limit": "no"}, "include_byok_in_limit", "a boolean"),
    ],
)
def test_a_limit_that_cannot_be_is_refused_by_name(
    body: dict[str, Any], param: str, said: str
) -> None:
    with pytest.raises(RefusedError, match=said) as caught:
        limit_over(body)

    assert (caught.value.status, caught.value.param) == (400, param)
