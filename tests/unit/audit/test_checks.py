"""Whether the books agree: each fault is a check that does not hold, named."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.audit.books import (
    AttributedScope,
    AuditBooks,
    CreditOverdraft,
    Difference,
    DisputedUsage,
    NumberRange,
    Overdraft,
    SpendingKey,
    Unbalanced,
)
from crossdock.audit.checks import NAMED, Check, check_books
from crossdock.audit.credit_expiry import (
    Expiries,
    ExpiringLot,
    LotTotals,
    WrongLapse,
)
from crossdock_schemas.ids import AccountId
from crossdock_schemas.money import usd_text

CONTROL = "control log has no gap"
JOURNAL = "journal has no gap"
BALANCE = "entries add up to 0"
CALLS = "journal matches the cost of calls"
SHARDS = "journal matches the shards"
HOLDS = "holds match the shards"
SCOPES = "end users and tags match the shards"
CREDITS = "credits match the shards"
EXPIRIES = "credits expire as they should"
BUDGETS = "no budget was overdrawn"
SPENDING = "no budget was overspent"
PREPAID = "no credits were overspent"
DISPUTED = "disputed usage is not booked"

A, B = SpendingKey("org_1", "proj_1", "key_a"), SpendingKey("org_1", "proj_1", "key_b")
ALICE, SEARCH = AttributedScope("org_1", "user:alice"), AttributedScope("org_1", "tag:team=search")
OTHER = AccountId("org_other")
END_MS = 1_800_000_000_000
LOT = ExpiringLot("org_1", END_MS)
AMOUNTS = st.dictionaries(st.sampled_from([A, B]), st.integers(0, 2).map(Decimal))


def make_books(spent: Mapping[SpendingKey, Decimal] | None = None, **changes: Any) -> AuditBooks:
    """Return books that agree, but for what is changed."""
    found = {A: Decimal("0.5")} if spent is None else spent
    values: dict[str, Any] = {
        "control": [NumberRange("org_1", 1, 4, 4, 0)],
        "journal": [NumberRange("org_1", 1, 9, 9, 0), NumberRange("org_2", 1, 2, 2, 0)],
        "spent": found,
        "shard_spent": found,
        "held": {B: Decimal("0.25")},
        "shard_held": {B: Decimal("0.250"), A: Decimal(0)},
        "attributed": {ALICE: Decimal("0.5")},
        "shard_attributed": {ALICE: Decimal("0.50"), SEARCH: Decimal(0)},
        "credits": {"org_1": Decimal("12.500000000000"), "org_2": Decimal(-1)},
        "shard_credits": {"org_1": Decimal("12.5"), "org_2": Decimal(-1), "org_3": Decimal(0)},
        "expiries": Expiries(
            booked={LOT: LotTotals(Decimal(10), Decimal(4))},
            shard={LOT: LotTotals(Decimal("10.0"), Decimal(4))},
            left={LOT: Decimal(6)},
        ),
        "budgets": 2,
        "budgeted_entries": 5,
        "disputed": DisputedUsage(3, Decimal("0.5"), Decimal(9)),
    }
    return AuditBooks(**(values | changes))


def wrong(books: AuditBooks) -> dict[str, Check]:
    return {check.name: check for check in check_books(books) if not check.is_ok}


def test_whole_books_are_proved_with_their_figures() -> None:
    figures = {check.name: check.figures for check in check_books(make_books())}

    assert wrong(make_books()) == {}
    assert figures == {
        CONTROL: {"accounts": 1, "changes": 4, "missing": 0},
        JOURNAL: {"accounts": 2, "entries": 11, "missing": 0},
        BALANCE: {"entries": 11, "unbalanced": 0},
        CALLS: {"journal_usd": Decimal("0.5"), "differing": 0},
        SHARDS: {
            "keys": 1,
            "journal_usd": Decimal("0.5"),
            "shard_usd": Decimal("0.5"),
            "differing": 0,
        },
        HOLDS: {
            "keys": 2,
            "journal_usd": Decimal("0.25"),
            "shard_usd": Decimal("0.25"),
            "differing": 0,
        },
        SCOPES: {
            "scopes": 2,
            "journal_usd": Decimal("0.5"),
            "shard_usd": Decimal("0.5"),
            "differing": 0,
        },
        CREDITS: {
            "organizations": 3,
            "journal_usd": Decimal("11.5"),
            "shard_usd": Decimal("11.5"),
            "differing": 0,
        },
        EXPIRIES: {
            "lots": 1,
            "credits_usd": Decimal(10),
            "lapsed_usd": Decimal(4),
            "left_usd": Decimal(6),
            "differing": 0,
        },
        BUDGETS: {"budgets": 2, "entries": 5, "overdrafts": 0},
        SPENDING: {"budgets": 2, "overspent": 0},
        PREPAID: {"overdrafts": 0},
        DISPUTED: {"calls": 3, "booked_usd": Decimal("0.5"), "disputed_usd": Decimal(9)},
    }


def test_empty_books_are_whole() -> None:
    assert wrong(AuditBooks()) == {}


@pytest.mark.parametrize(("kind", "name"), [("control", CONTROL), ("journal", JOURNAL)])
@pytest.mark.parametrize(
    "row",
    [
        pytest.param(NumberRange("org_1", 1, 9, 8, 1), id="one in the middle"),
        pytest.param(NumberRange("org_1", 2, 9, 8, 1), id="the first one"),
        pytest.param(
            NumberRange("org_1", 0, 2, 2, 0), id="one that cannot be hides one that is lost"
        ),
    ],
)
def test_a_lost_number_is_named_with_its_account(kind: str, name: str, row: NumberRange) -> None:
    changes: dict[str, Any] = {kind: [row, NumberRange("org_2", 1, 2, 2, 0)]}

    found = wrong(make_books(**changes))

    assert found.keys() == {name}
    assert found[name].wrong == 1
    assert found[name].named[0].startswith(f"org_1: {row.missing} missing")


def test_an_unbalanced_entry_is_named() -> None:
    lost = Unbalanced("org_1", 7, Decimal("0.000000000100"))

    found = wrong(make_books(unbalanced=[lost], unbalanced_count=1))

    assert found[BALANCE].named == ["org_1 entry 7: postings add up to 0.0000000001 USD"]


def test_a_difference_with_the_calls_is_named() -> None:
    difference = Difference("org_1", "proj_1", "key_a", "atlas", Decimal(0), Decimal("0.25"))

    found = wrong(make_books(differences=[difference]))

    assert found[CALLS].named == [
        "org_1 proj_1 key_a atlas: journal 0 USD, calls 0.25 USD",
    ]


@pytest.mark.parametrize(
    ("spent", "told", "said"),
    [
        pytest.param({A: 1}, {A: 2}, "journal 1 USD, shard 2 USD", id="another amount"),
        pytest.param({A: 1}, {}, "journal 1 USD, shard nothing", id="only the journal has it"),
        pytest.param({}, {A: 2}, "journal nothing, shard 2 USD", id="only the shard has it"),
    ],
)
def test_a_difference_with_the_shards_is_named(
    spent: dict[SpendingKey, int], told: dict[SpendingKey, int], said: str
) -> None:
    amounts = {owner: Decimal(amount) for owner, amount in told.items()}
    books = make_books(
        {owner: Decimal(amount) for owner, amount in spent.items()}, shard_spent=amounts
    )

    assert wrong(books)[SHARDS].named == [f"org_1 proj_1 key_a: {said}"]


def test_a_difference_in_what_counts_for_an_end_user_is_named() -> None:
    books = make_books(attributed={ALICE: Decimal(1), SEARCH: Decimal(0)})

    assert wrong(books)[SCOPES].named == ["org_1 user:alice: journal 1 USD, shard 0.5 USD"]


@pytest.mark.parametrize(
    ("held", "told", "said"),
    [
        pytest.param({A: 1}, {A: 2}, "journal 1 USD, shard 2 USD", id="another amount"),
        pytest.param({A: 1}, {}, "journal 1 USD, shard nothing", id="only the journal has it"),
        pytest.param({A: -1}, {A: -1}, "journal -1 USD, shard -1 USD", id="given back twice"),
    ],
)
def test_a_hold_that_is_not_as_it_should_be_is_named(
    held: dict[SpendingKey, int], told: dict[SpendingKey, int], said: str
) -> None:
    books = make_books(
        held={owner: Decimal(amount) for owner, amount in held.items()},
        shard_held={owner: Decimal(amount) for owner, amount in told.items()},
    )

    found = wrong(books)

    assert found.keys() == {HOLDS}
    assert found[HOLDS].named == [f"org_1 proj_1 key_a: {said}"]


@pytest.mark.parametrize(
    ("journal", "told", "said"),
    [
        pytest.param({"org_1": 1}, {"org_1": 2}, "journal 1 USD, shard 2 USD", id="another amount"),
        pytest.param(
            {"org_1": 1}, {}, "journal 1 USD, shard nothing", id="only the journal has it"
        ),
        pytest.param(
            {}, {"org_1": -2}, "journal nothing, shard -2 USD", id="only the shard has it"
        ),
    ],
)
def test_credits_that_differ_are_named_with_their_organization(
    journal: dict[str, int], told: dict[str, int], said: str
) -> None:
    books = make_books(
        credits={account: Decimal(usd) for account, usd in journal.items()},
        shard_credits={account: Decimal(usd) for account, usd in told.items()},
    )

    found = wrong(books)

    assert found.keys() == {CREDITS}
    assert found[CREDITS].named == [f"org_1: {said}"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shard": {}}, "journal 10 USD less 4 USD, shard 0 USD less 0 USD"),
        ({"booked": {}}, "journal 0 USD less 0 USD, shard 10 USD less 4 USD"),
        ({"left": {LOT: Decimal("6.000000000001")}}, "10 USD less 4 USD, but 6.000000000001 USD left"),
        ({"left": {LOT: Decimal(-1)}}, "10 USD less 4 USD, but -1 USD left"),
    ],
    ids=["only the journal has it", "only the shard has it", "more is left than came", "below 0"],
)  # fmt: skip
def test_credits_that_do_not_expire_as_they_should_are_named(
    changes: dict[str, Any], said: str
) -> None:
    books = make_books()

    found = wrong(make_books(expiries=replace(books.expiries, **changes)))

    assert found.keys() == {EXPIRIES}
    assert found[EXPIRIES].named == [f"org_1 2027-01-15T08:00:00Z: {said}"]


def test_a_write_off_that_should_not_be_is_named() -> None:
    bad = Expiries(wrong=[WrongLapse("org_1", "early", Decimal("0.5"))])

    assert wrong(make_books(expiries=bad))[EXPIRIES].named == ["org_1: 0.5 USD, early"]


def test_an_overdraft_is_named_with_its_budget() -> None:
    row = Overdraft("org_1", 7, "key_a", "daily", Decimal("0.50"), Decimal("0.500000000001"))

    found = wrong(make_books(overdrafts=[row], overdraft_count=3))

    assert found.keys() == {BUDGETS}
    assert found[BUDGETS].wrong == 3
    assert found[BUDGETS].named == [
        "org_1 entry 7: 0.500000000001 USD of the daily budget of key_a, which is 0.5 USD"
    ]


def test_spending_beyond_a_budget_or_the_credits_is_named() -> None:
    row = Overdraft("org_1", 7, "key_a", "total", Decimal("0.02"), Decimal(11_000_000))
    credit = CreditOverdraft("org_1", 8, "capture", Decimal("0.02"), Decimal("1.00"))

    found = wrong(make_books(overspent=[row], overspent_count=1, credit_overdrafts=[credit], credit_overdraft_count=2))  # fmt: skip

    assert {name: check.wrong for name, check in found.items()} == {SPENDING: 1, PREPAID: 2}
    assert found[SPENDING].named == [
        "org_1 entry 7: 11000000 USD of the total budget of key_a, which is 0.02 USD"
    ]
    assert found[PREPAID].named == [
        "org_1 entry 8: capture of 1 USD in all, of 0.02 USD of credits"
    ]


def test_the_same_key_in_another_project_is_a_difference_both_ways() -> None:
    moved = A._replace(project="proj_2")

    found = wrong(make_books({A: Decimal(1)}, shard_spent={moved: Decimal(1)}))

    assert found[SHARDS].wrong == 2


@given(AMOUNTS, AMOUNTS)
def test_journal_and_shards_agree_if_every_amount_is_the_same_and_nothing_is_0(
    spent: dict[SpendingKey, Decimal], told: dict[SpendingKey, Decimal]
) -> None:
    is_same = all(spent.get(owner, 0) == told.get(owner, 0) for owner in (A, B))

    assert (wrong(make_books(spent, shard_spent=told)) == {}) == is_same


@pytest.mark.parametrize("count", [NAMED, NAMED + 1])
def test_only_so_many_are_named_but_all_are_counted(count: int) -> None:
    told = {A._replace(key_id=f"key_{number}"): Decimal(1) for number in range(count)}

    check = wrong(make_books({}, shard_spent=told))[SHARDS]

    assert (check.wrong, len(check.named)) == (count, NAMED)


@pytest.mark.parametrize(
    ("amount", "said"),
    [("0E-12", "0"), ("0.500000000000", "0.5"), ("1200", "1200"), ("-1E-12", "-0.000000000001")],
)
def test_an_amount_is_exact_and_without_zeros_at_its_end(amount: str, said: str) -> None:
    assert usd_text(Decimal(amount)) == said
