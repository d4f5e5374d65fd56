"""What an organization's credits came to, and how they are shown and asked for."""

from decimal import Decimal
from typing import Any

import pytest

from crossdock.ingress.management.credit_models import CreditCreate, CreditObject, show_worth
from crossdock.ingress.management.organization_models import show_organization
from crossdock.ingress.values.balances import Worth, worth_of
from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.validation import read_model
from crossdock_schemas.accounts.account import Organization
from crossdock_schemas.accounts.credit import BOOKED, CreditKind, Lot, Lots
from crossdock_schemas.ids import AccountId
from support.builders import NOW_MS, OWNER, make_credit, make_spend
from support.openapi import shown_as

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
    assert shown_as(show_worth(worth(None))) == {
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

    shown = shown_as(show_worth(worth("0"), Lots(account=ACCOUNT, lots=lots)))

    assert shown["expiring"] == [
        {"expires_at": "2027-01-15T08:00:00Z", "amount_usd": "0.5"},
        {"expires_at": "2027-01-15T08:00:01Z", "amount_usd": "7"},
    ]


@pytest.mark.parametrize(
    ("begun", "used", "left"), [("0", 4.5, "9.5"), ("3", 1.5, "12.5"), ("4.5", 0.0, "14")]
)
def test_what_was_spent_before_counts_for_no_credits(begun: str, used: float, left: str) -> None:
    shown = shown_as(show_worth(worth(begun)))

    assert (shown["total_usage"], shown["balance_usd"]) == (used, left)
    assert shown["is_prepaid"] is True


def test_credits_that_were_taken_away_after_they_were_spent_are_owed() -> None:
    bare = worth_of(make_organization("0"), [], [make_spend("2")])

    assert shown_as(show_worth(bare))["balance_usd"] == "-2"


def test_a_credit_is_shown_exactly_and_without_who_booked_it() -> None:
    credit = make_credit("33.330000", fee_usd=Decimal("1.84"), kind=CreditKind.TOP_UP)

    assert shown_as(CreditObject.of(credit)) == {
        "id": credit.credit_id,
        "kind": "top_up",
        "amount_usd": "33.33",
        "fee_usd": "1.84",
        "reference": "invoice 1",
        "note": None,
        "created_at": "2027-01-15T08:00:00Z",
        "expires_at": None,
    }
    assert (
        shown_as(CreditObject.of(make_credit(expires_at_ms=NOW_MS)))["expires_at"]
        == "2027-01-15T08:00:00Z"
    )


@pytest.mark.parametrize(("begun", "is_prepaid"), [(None, False), ("0", True)])
def test_an_organization_says_whether_it_is_prepaid(begun: str | None, is_prepaid: bool) -> None:
    assert show_organization(make_organization(begun)).is_prepaid is is_prepaid


CREDIT = {"kind": "grant", "amount_usd": 1, "reference": "r"}


@pytest.mark.parametrize("length", [1, 255])
def test_a_reference_and_a_note_have_a_length(length: int) -> None:
    body = CREDIT | {"reference": "r" * length, "note": "n" * length}

    read = read_model(CreditCreate, body)

    assert (read.reference, read.note) == (body["reference"], body["note"])
    assert read_model(CreditCreate, CREDIT | {"note": ""}).note == ""
    assert read_model(CreditCreate, CREDIT).note is None


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"reference": None}, "reference"),
        ({"reference": ""}, "reference"),
        ({"reference": "r" * 256}, "reference"),
        ({"reference": 7}, "reference"),
        ({"note": "n" * 256}, "note"),
        ({"note": 7}, "note"),
        ({"kind": None}, "kind"),
        ({"kind": "gift"}, "kind"),
        ({"kind": ["grant"]}, "kind"),
        ({"amount_usd": None}, "amount_usd"),
    ],
)
def test_what_is_no_credit_is_refused(change: dict[str, Any], param: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read_model(CreditCreate, CREDIT | change)

    assert (caught.value.status, caught.value.param) == (400, param)


def test_kinds_are_known_by_name() -> None:
    """But for the one that nobody books."""
    found = [read_model(CreditCreate, CREDIT | {"kind": kind.value}).kind for kind in BOOKED]

    assert found == [kind.value for kind in BOOKED]
    assert set(BOOKED) == set(CreditKind) - {CreditKind.LAPSE}
    with pytest.raises(RefusedError):
        read_model(CreditCreate, CREDIT | {"kind": "lapse"})
