"""Credits: booked once for each reference, with the fee on top, and nothing is refunded that is spent or held."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.accounts.core import AccountsCore
from crossdock_schemas.accounts.account import Organization
from crossdock_schemas.accounts.control import (
    Change,
    Command,
    CreditAsked,
    Credited,
    PrepaymentAsked,
    PrepaymentSet,
    Refusal,
    account_command,
)
from crossdock_schemas.accounts.credit import Credit, CreditKind, Terms
from crossdock_schemas.accounts.journal import Entry, EntryKind, Ledger
from crossdock_schemas.ids import AccountId
from crossdock_schemas.topics import ACCOUNT_COMMANDS, ACCOUNT_JOURNAL
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

CARD = Terms(fee_percent=Decimal("5.5"), fee_minimum_usd=Decimal("0.80"))
OTHER = AccountId("org_other")


def make_core(terms: Terms = CARD, *, is_operator: bool = True) -> AccountsCore:
    core = AccountsCore(terms)
    founded = make_founded()
    organization = founded.organization.model_copy(update={"is_operator": is_operator})
    core.apply(founded.model_copy(update={"organization": organization}), NOW_MS)
    core.apply(ask_key(make_key("key_app")), NOW_MS)
    return core


def credit(core: AccountsCore, amount: str, kind: CreditKind = CreditKind.TOP_UP, **fields: Any) -> Change:  # fmt: skip
    values = {"amount_usd": Decimal(amount), "reference": f"{kind} {amount}"} | fields
    return core.apply(Credited(**common(), kind=kind, **values), NOW_MS)


def entries(core: AccountsCore) -> list[Entry]:
    records = core.finish().outgoing
    return [Entry.from_json(r.value or b"") for r in records if r.topic == ACCOUNT_JOURNAL.name]


@pytest.mark.parametrize(("amount", "fee"), [("100", "5.5"), ("1", "0.8"), ("33.33", "1.84")])
def test_who_pays_pays_the_fee_on_top(amount: str, fee: str) -> None:
    core = make_core()

    credit(core, amount)

    (entry,) = entries(core)
    sides = {posting.ledger: posting.amount_usd for posting in entry.postings}
    assert entry.kind is EntryKind.TOP_UP
    assert sides == {
        Ledger.CREDITS: Decimal(amount),
        Ledger.FEE: Decimal(fee),
        Ledger.PAYMENT: -Decimal(amount) - Decimal(fee),
    }


def test_what_was_paid_with_the_fee_in_it_is_split() -> None:
    core = make_core()

    credit(core, "0", amount_usd=None, paid_usd=Decimal("105.50"))

    (found,) = core.states[ACME].credits.values()
    assert (found.amount_usd, found.fee_usd) == (Decimal(100), Decimal("5.50"))


@given(st.integers(1, 10**7), st.integers(0, 10_000), st.integers(0, 1000))
def test_a_payment_is_split_without_a_rest(cents: int, percent: int, minimum: int) -> None:
    terms = Terms(fee_percent=Decimal(percent) / 100, fee_minimum_usd=Decimal(minimum) / 100)
    paid = Decimal(cents) / 100

    amount = terms.credited_of(paid)

    assert 0 <= amount <= paid
    assert not amount or amount + terms.fee_of(amount) <= paid
    more = amount + Decimal("0.02")
    assert more + terms.fee_of(more) > paid


def test_a_payment_in_fractions_of_a_cent_is_not_overdrawn_by_its_fee() -> None:
    terms = Terms(fee_percent=Decimal("5.5"))

    amount = terms.credited_of(Decimal("1.055001"))

    assert (amount, terms.fee_of(amount)) == (Decimal("0.99"), Decimal("0.06"))


def test_a_reference_counts_once_also_after_a_restart() -> None:
    first, second = make_core(), AccountsCore(CARD)
    credit(first, "10", reference="payment 1")
    second.restore(first.finish().pages)

    again = credit(second, "10", reference="payment 1")

    assert again.refusal is Refusal.CONFLICT
    assert second.states[ACME].credit_total == units(10)


@pytest.mark.parametrize(
    ("kind", "amount"),
    [
        (CreditKind.TOP_UP, "-1"),
        (CreditKind.GRANT, "0"),
        (CreditKind.REFUND, "1"),
        (CreditKind.ADJUSTMENT, "0"),
    ],
)
def test_amounts_have_their_kinds_sign(kind: CreditKind, amount: str) -> None:
    assert credit(make_core(), amount, kind).refusal is Refusal.INVALID


def test_a_grant_has_no_fee_and_nobody_paid_for_it() -> None:
    core = make_core()

    credit(core, "10", CreditKind.GRANT)

    (entry,) = entries(core)
    assert {p.ledger for p in entry.postings} == {Ledger.CREDITS, Ledger.GRANTED}


def test_what_is_held_is_not_refunded() -> None:
    core = make_core()
    credit(core, "10")
    parcel = make_parcel(account=ACME, project=PROJECT, key_id="key_app")
    core.ledger.admit(parcel, [units(4)], NOW_MS)

    too_much = credit(core, "-6.01", CreditKind.REFUND)
    rest = credit(core, "-6", CreditKind.REFUND)

    assert (too_much.refusal, rest.refusal) == (Refusal.INVALID, None)
    assert "Only 6" in (too_much.reason or "")


def test_credits_bind_from_the_moment_on_that_they_are_needed() -> None:
    core = make_core()
    parcel = make_parcel(account=ACME, project=PROJECT, key_id="key_app", batch_id=None, request_id="req_1")  # fmt: skip
    core.apply(PrepaymentSet(**common(), is_prepaid=True), NOW_MS)

    without = core.ledger.admit(parcel, [units(4)], NOW_MS)
    credit(core, "5")
    with_credits = core.ledger.admit(parcel, [units(4)], NOW_MS)

    assert without.wait_reason is not None
    assert without.wait_reason.code == "insufficient_credits"
    assert "0 USD of credits left; this can cost up to 4 USD" in without.wait_reason.message
    assert (with_credits.count, with_credits.wait_reason) == (1, None)


def test_the_operator_asks_and_the_organizations_own_shard_books() -> None:
    core = make_core()

    asked: list[Command] = [
        CreditAsked(**common(), organization=OTHER, kind=CreditKind.GRANT, amount_usd=5, reference="r"),
        PrepaymentAsked(**common(), organization=OTHER, is_prepaid=True),
    ]  # fmt: skip
    changes = [core.apply(command, NOW_MS) for command in asked]

    records = [r for r in core.finish().outgoing if r.topic == ACCOUNT_COMMANDS.name]
    forwarded = [account_command.validate_json(record.value or b"") for record in records]
    assert [change.refusal for change in changes] == [None, None]
    assert [(c.do, c.account, c.change_id) for c in forwarded] == [
        ("credit", OTHER, asked[0].change_id),
        ("set_prepayment", OTHER, asked[1].change_id),
    ]


def test_nobody_else_may_ask() -> None:
    core = make_core(is_operator=False)

    asked = CreditAsked(**common(), organization=ACME, kind=CreditKind.GRANT, amount_usd=5, reference="r")  # fmt: skip

    assert core.apply(asked, NOW_MS).refusal is Refusal.PERMISSION_DENIED


@pytest.mark.parametrize(
    "command",
    [
        Credited(**common() | {"account": OTHER}, kind=CreditKind.GRANT, amount_usd=5, reference="r"),
        PrepaymentSet(**common() | {"account": OTHER}, is_prepaid=True),
    ],
    ids=["credits", "prepayment"],
)  # fmt: skip
def test_an_organization_that_is_none_gets_nothing(command: Credited | PrepaymentSet) -> None:
    core = make_core()

    assert core.apply(command, NOW_MS).refusal is Refusal.NOT_FOUND
    assert OTHER not in core.states


def test_to_say_it_again_changes_nothing() -> None:
    core = make_core()
    for _ in range(2):
        core.apply(PrepaymentSet(**common(), is_prepaid=True), NOW_MS)
        credit(core, "5", CreditKind.GRANT)

    organization = core.states[ACME].organization
    assert isinstance(organization, Organization)
    assert organization.prepaid_from_usd == 0
    assert [type(found) for found in core.states[ACME].credits.values()] == [Credit]
