"""What an organization's credits came to, and how they are shown and asked for."""

from decimal import Decimal
from typing import Any

import pytest

from crossdock.ingress.values.balances import Worth, worth_of
from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.management_bodies import (
    check_credit_kind,
    check_note,
    check_reference,
    check_signed_usd,
)
from crossdock.ingress.values.management_objects import show_credit, show_organization, show_worth
from crossdock_schemas.accounts.account import Organization
from crossdock_schemas.accounts.credit import BOOKED, CreditKind, Lot, Lots
from crossdock_schemas.ids import AccountId
from support.builders import NOW_MS, OWNER, make_credit, make_spend

OTHER = AccountId("org_other")
ACCOUNT = AccountId(str(OWNER["account"]))


def make_organization(begun: str | None = None) -> Organization:
    return Organization(
        account=OWNER["account"],
        name="Acme",
        prepaid_from_usd=None if begun is None else Decimal(begun),
        created_at_ms=NOW_MS,
        updated_at_ms=NOW_MS,
    )


def worth(begun: str | None) -> Worth:
    """Return the worth of 10 + 5 - 1 USD of which 4.5 are spent and 0.25 held, beside another organization's."""
    credits = [
        make_credit("10"),
        make_credit("5", "invoice 2"),
        make_credit("-1", "refund 1", kind=CreditKind.REFUND),
        make_credit("99", account=OTHER),
    ]
    spends = [
        make_spend("4", held_usd=Decimal("0.25")),
        make_spend("0.5", key_id="key_gone"),
        make_spend("99", account=OTHER, held_usd=Decimal(99)),
    ]
    return worth_of(make_organization(begun), credits, spends)


def test_who_is_not_prepaid_sees_all_that_was_spent_and_has_no_balance() -> None:
    assert show_worth(worth(None)) == {
        "total_credits": 14.0,
        "total_usage": 4.5,
        "balance_usd": None,
        "held_usd": "0.25",
        "is_prepaid": False,
        "expiring": [],
    }


def test_credits_that_expire_are_shown_with_their_times() -> None:
    lots = (
        Lot(expires_at_ms=NOW_MS, left_usd=Decimal("0.500"), lapsing_usd=Decimal(3), is_over=True),
        Lot(expires_at_ms=NOW_MS + 1000, left_usd=Decimal(7)),
    )

    shown = show_worth(worth("0"), Lots(account=ACCOUNT, lots=lots))

    assert shown["expiring"] == [
        {"expires_at": "2027-01-15T08:00:00Z", "amount_usd": "0.5"},
        {"expires_at": "2027-01-15T08:00:01Z", "amount_usd": "7"},
    ]


@pytest.mark.parametrize(
    ("begun", "used", "left"), [("0", 4.5, "9.5"), ("3", 1.5, "12.5"), ("4.5", 0.0, "14")]
)
def test_what_was_spent_before_counts_for_no_credits(begun: str, used: float, left: str) -> None:
    shown = show_worth(worth(begun))

    assert (shown["total_usage"], shown["balance_usd"]) == (used, left)
    assert shown["is_prepaid"] is True


def test_credits_that_were_taken_away_after_they_were_spent_are_owed() -> None:
    bare = worth_of(make_organization("0"), [], [make_spend("2")])

    assert show_worth(bare)["balance_usd"] == "-2"


def test_a_credit_is_shown_exactly_and_without_who_booked_it() -> None:
    credit = make_credit("33.330000", fee_usd=Decimal("1.84"), kind=CreditKind.TOP_UP)

    assert show_credit(credit) == {
        "id": credit.credit_id,
        "kind": "top_up",
        "amount_usd": "33.33",
        "fee_usd": "1.84",
        "reference": "invoice 1",
        "note": None,
        "created_at": "2027-01-15T08:00:00Z",
        "expires_at": None,
    }
    assert show_credit(make_credit(expires_at_ms=NOW_MS))["expires_at"] == "2027-01-15T08:00:00Z"


@pytest.mark.parametrize(("begun", "is_prepaid"), [(None, False), ("0", True)])
def test_an_organization_says_whether_it_is_prepaid(begun: str | None, is_prepaid: bool) -> None:
    assert show_organization(make_organization(begun))["is_prepaid"] is is_prepaid


@pytest.mark.parametrize(
    ("said", "usd"), [("-12.50", "-12.50"), (-0.1, "-0.1"), (7, "7"), ("0", "0"), (-1e-6, "-0.000001")]
)  # fmt: skip
def test_an_amount_may_be_below_0_and_is_exact(said: object, usd: str) -> None:
    assert str(check_signed_usd({"amount_usd": said}, "amount_usd")) == usd


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "missing_required_parameter"),
        ({"amount_usd": None}, "missing_required_parameter"),
        ({"amount_usd": True}, "invalid_type"),
        ({"amount_usd": "--1"}, "invalid_value"),
        ({"amount_usd": "-"}, "invalid_value"),
        ({"amount_usd": "+1"}, "invalid_value"),
        ({"amount_usd": "- 1"}, "invalid_value"),
        ({"amount_usd": "-0.0000001"}, "invalid_value"),
        ({"amount_usd": -1e20}, "invalid_value"),
        ({"amount_usd": float("-inf")}, "invalid_value"),
    ],
)
def test_what_is_no_amount_is_refused(body: dict[str, Any], reason: str) -> None:
    with pytest.raises(RefusedError) as caught:
        check_signed_usd(body, "amount_usd")

    assert (caught.value.param, caught.value.reason) == ("amount_usd", reason)


@pytest.mark.parametrize("length", [1, 255])
def test_a_reference_and_a_note_have_a_length(length: int) -> None:
    body = {"reference": "r" * length, "note": "n" * length}

    assert (check_reference(body), check_note(body)) == (body["reference"], body["note"])
    assert check_note({"note": ""}) == ""
    assert check_note({}) is None


@pytest.mark.parametrize(
    ("check", "body"),
    [
        (check_reference, {}),
        (check_reference, {"reference": ""}),
        (check_reference, {"reference": "r" * 256}),
        (check_reference, {"reference": 7}),
        (check_note, {"note": "n" * 256}),
        (check_note, {"note": 7}),
        (check_credit_kind, {}),
        (check_credit_kind, {"kind": "gift"}),
        (check_credit_kind, {"kind": ["grant"]}),
    ],
)
def test_what_is_no_such_text_is_refused(check: Any, body: dict[str, Any]) -> None:
    with pytest.raises(RefusedError) as caught:
        check(body)

    assert caught.value.status == 400


def test_kinds_are_known_by_name() -> None:
    """But for the one that nobody books."""
    assert [check_credit_kind({"kind": kind.value}) for kind in BOOKED] == list(BOOKED)
    assert set(BOOKED) == set(CreditKind) - {CreditKind.LAPSE}
    with pytest.raises(RefusedError):
        check_credit_kind({"kind": "lapse"})
