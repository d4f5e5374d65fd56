"""What management asks for, checked: amounts to the last digit, limits as OpenRouter says them."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.management_bodies import (
    check_budget,
    check_known,
    check_limit,
    check_usd,
    check_window_name,
)
from crossdock_schemas.accounts.budget import Limit
from crossdock_schemas.windows import Window


def make_limit(
    usd: str = "10", window: Window = Window.TOTAL, *, include_byok: bool = False
) -> Limit:
    return Limit(limit_usd=Decimal(usd), window=window, include_byok=include_byok)


@pytest.mark.parametrize(
    ("said", "usd"),
    [
        ("12.50", "12.50"),
        (12.5, "12.5"),
        (0.1, "0.1"),
        (7, "7"),
        (0, "0"),
        ("0", "0"),
        (1e-6, "0.000001"),
        ("99999999999999.999999", "99999999999999.999999"),
        (1e13, "10000000000000.0"),
    ],
)
def test_an_amount_is_exactly_what_was_said(said: object, usd: str) -> None:
    assert str(check_usd({"limit": said}, "limit")) == usd


def test_no_amount_is_none() -> None:
    assert check_usd({"limit": None}, "limit") is None
    assert check_usd({}, "limit") is None


@pytest.mark.parametrize(
    "said",
    [
        "", "-1", -1, -0.01, "1e3", 1e-7, "0.0000001", "1.", ".5", "1_0", " 1", "1\n", "NaN", "٣",
        float("inf"), 1e300, "100000000000000", 10**400,
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused(said: object) -> None:
    with pytest.raises(RefusedError) as caught:
        check_usd({"limit": said}, "limit")

    refused = caught.value
    assert (refused.status, refused.param, refused.reason) == (400, "limit", "invalid_value")


@pytest.mark.parametrize("said", [True, False, [], {}])
def test_an_amount_is_a_number_or_a_text(said: object) -> None:
    with pytest.raises(RefusedError) as caught:
        check_usd({"limit": said}, "limit")

    assert caught.value.reason == "invalid_type"


@given(st.decimals(0, 10**13, places=6))
def test_any_amount_to_the_millionth_is_kept(usd: Decimal) -> None:
    assert check_usd({"limit": f"{usd:f}"}, "limit") == usd


@pytest.mark.parametrize(
    ("body", "param"),
    [({}, "limit_usd"), ({"limit_usd": None}, "limit_usd"), ({"limit": 1}, "limit")],
)
def test_a_budget_needs_an_amount_and_nothing_else(body: dict[str, Any], param: str) -> None:
    with pytest.raises(RefusedError) as caught:
        check_budget(body, Window.DAILY)

    assert caught.value.param == param


def test_a_budget_is_fluid_if_it_may_be_exceeded() -> None:
    strict = check_budget({"limit_usd": 5, "overshoot_usd": None}, Window.DAILY)
    fluid = check_budget({"limit_usd": 5, "overshoot_usd": "0.5"}, Window.DAILY)

    assert (strict.overshoot_usd, fluid.overshoot_usd) == (Decimal(0), Decimal("0.5"))


def test_a_window_is_one_of_four() -> None:
    assert [check_window_name(window.value) for window in Window] == list(Window)
    with pytest.raises(RefusedError, match="'total', 'daily', 'weekly', 'monthly'") as caught:
        check_window_name("yearly")
    assert caught.value.param == "window"


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
    assert check_limit(body) == limit


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
    assert check_limit(body, make_limit(window=Window.DAILY)) == limit


@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        ({"limit": 1, "limit_reset": "yearly"}, "limit_reset", "'daily', 'weekly', 'monthly'"),
        ({"limit": 1, "limit_reset": "total"}, "limit_reset", "Null: never"),
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
        check_limit(body)

    assert (caught.value.status, caught.value.param) == (400, param)


def test_a_limit_of_what_has_none_is_a_typo() -> None:
    """It must not be passed over: a limit that is silently ignored costs money."""
    for value in (None, False, 10):
        with pytest.raises(RefusedError, match="Unknown parameter: 'limit'"):
            check_known({"name": "a", "limit": value}, ("name",))
