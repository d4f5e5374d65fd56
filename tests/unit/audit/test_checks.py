"""Whether the books agree: each fault is a check that does not hold, named."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.audit.checks import (
    NAMED,
    Books,
    Check,
    Counted,
    Difference,
    Numbers,
    Overdraft,
    Owner,
    Unbalanced,
    check_books,
    credited,
    holdings,
    take,
    totals,
    usages,
)
from crossdock.audit.credit_expiry import Expiries, Lot, Sums, Wrong, left_of, sums_of
from crossdock.kernel.process.errors import UndecodableError
from crossdock.kernel.process.record import Record
from crossdock_schemas.accounts.credit import Credit, CreditKind, Lots
from crossdock_schemas.accounts.credit import Lot as OneLot
from crossdock_schemas.accounts.journal import MarkSpend, Spend
from crossdock_schemas.ids import AccountId
from crossdock_schemas.money import usd_text
from support.builders import make_credit, make_spend

CONTROL = "control log has no gap"
JOURNAL = "journal has no gap"
BALANCE = "entries add up to 0"
CALLS = "journal is what the calls cost"
SHARDS = "journal is what the shards say"
HOLDS = "holds are what the shards say"
SCOPES = "end users and tags are what the shards say"
CREDITS = "credits are what the shards say"
EXPIRIES = "credits expire as they should"
BUDGETS = "no budget was overdrawn"

A, B = Owner("org_1", "proj_1", "key_a"), Owner("org_1", "proj_1", "key_b")
ALICE, SEARCH = Counted("org_1", "user:alice"), Counted("org_1", "tag:team=search")
OTHER = AccountId("org_other")
END_MS = 1_800_000_000_000
LOT = Lot("org_1", END_MS)
AMOUNTS = st.dictionaries(st.sampled_from([A, B]), st.integers(0, 2).map(Decimal))


def make_books(spent: Mapping[Owner, Decimal] | None = None, **changes: Any) -> Books:
    """Return books that agree, but for what is changed."""
    found = {A: Decimal("0.5")} if spent is None else spent
    values: dict[str, Any] = {
        "control": [Numbers("org_1", 1, 4, 4, 0)],
        "journal": [Numbers("org_1", 1, 9, 9, 0), Numbers("org_2", 1, 2, 2, 0)],
        "spent": found,
        "told": found,
        "held": {B: Decimal("0.25")},
        "told_held": {B: Decimal("0.250"), A: Decimal(0)},
        "used": {ALICE: Decimal("0.5")},
        "told_used": {ALICE: Decimal("0.50"), SEARCH: Decimal(0)},
        "credits": {"org_1": Decimal("12.500000000000"), "org_2": Decimal(-1)},
        "told_credits": {"org_1": Decimal("12.5"), "org_2": Decimal(-1), "org_3": Decimal(0)},
        "expiries": Expiries(
            booked={LOT: Sums(Decimal(10), Decimal(4))},
            told={LOT: Sums(Decimal("10.0"), Decimal(4))},
            left={LOT: Decimal(6)},
        ),
        "budgets": 2,
        "bound": 5,
    }
    return Books(**(values | changes))


def wrong(books: Books) -> dict[str, Check]:
    return {check.name: check for check in check_books(books) if not check.is_ok}


def make_record(value: bytes, key: bytes = b"spend_key_local", offset: int = 7) -> Record:
    return Record("accounts.directory", 3, offset, 0, key, value, [])


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
    }


def test_empty_books_are_whole() -> None:
    assert wrong(Books()) == {}


@pytest.mark.parametrize(("kind", "name"), [("control", CONTROL), ("journal", JOURNAL)])
@pytest.mark.parametrize(
    "row",
    [
        pytest.param(Numbers("org_1", 1, 9, 8, 1), id="one in the middle"),
        pytest.param(Numbers("org_1", 2, 9, 8, 1), id="the first one"),
        pytest.param(Numbers("org_1", 0, 2, 2, 0), id="one that cannot be hides one that is lost"),
    ],
)
def test_a_lost_number_is_named_with_its_account(kind: str, name: str, row: Numbers) -> None:
    changes: dict[str, Any] = {kind: [row, Numbers("org_2", 1, 2, 2, 0)]}

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
    spent: dict[Owner, int], told: dict[Owner, int], said: str
) -> None:
    amounts = {owner: Decimal(amount) for owner, amount in told.items()}
    books = make_books({owner: Decimal(amount) for owner, amount in spent.items()}, told=amounts)

    assert wrong(books)[SHARDS].named == [f"org_1 proj_1 key_a: {said}"]


def test_a_difference_in_what_counts_for_an_end_user_is_named() -> None:
    books = make_books(used={ALICE: Decimal(1), SEARCH: Decimal(0)})

    assert wrong(books)[SCOPES].named == ["org_1 user:alice: journal 1 USD, shard 0.5 USD"]


def test_the_newest_word_of_each_end_user_counts() -> None:
    """Two organizations may know one by the same id."""
    told: dict[str, MarkSpend] = {}

    def record(account: str, total_usd: str) -> Record:
        spend = MarkSpend(account=AccountId(account), scope="user:alice", at_ms=1, total_usd=Decimal(total_usd), held_usd=Decimal(1))  # fmt: skip
        return make_record(spend.to_json(), f"marked_user:alice@{account}".encode())

    take(told, MarkSpend, [record("org_1", "1"), make_record(b"none", b"spend_x")])
    take(told, MarkSpend, [record("org_other", "7"), record("org_1", "2")])

    assert usages(told.values()) == {ALICE: 3, Counted(OTHER, "user:alice"): 8}
    with pytest.raises(UndecodableError):
        take(told, MarkSpend, [make_record(b"none", b"marked_x")])


@pytest.mark.parametrize(
    ("held", "told", "said"),
    [
        pytest.param({A: 1}, {A: 2}, "journal 1 USD, shard 2 USD", id="another amount"),
        pytest.param({A: 1}, {}, "journal 1 USD, shard nothing", id="only the journal has it"),
        pytest.param({A: -1}, {A: -1}, "journal -1 USD, shard -1 USD", id="given back twice"),
    ],
)
def test_a_hold_that_is_not_as_it_should_be_is_named(
    held: dict[Owner, int], told: dict[Owner, int], said: str
) -> None:
    books = make_books(
        held={owner: Decimal(amount) for owner, amount in held.items()},
        told_held={owner: Decimal(amount) for owner, amount in told.items()},
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
        told_credits={account: Decimal(usd) for account, usd in told.items()},
    )

    found = wrong(books)

    assert found.keys() == {CREDITS}
    assert found[CREDITS].named == [f"org_1: {said}"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"told": {}}, "journal 10 USD less 4 USD, shard 0 USD less 0 USD"),
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
    bad = Expiries(wrong=[Wrong("org_1", "early", Decimal("0.5"))])

    assert wrong(make_books(expiries=bad))[EXPIRIES].named == ["org_1: 0.5 USD, early"]


def test_what_shards_say_of_credits_that_expire_is_summed_by_time() -> None:
    end: dict[str, Any] = {"expires_at_ms": END_MS}
    credits = [
        make_credit("10", "a", **end), make_credit("2", "b", **end), make_credit("7", "c"),
        make_credit("-3", "d", kind=CreditKind.LAPSE, **end),
    ]  # fmt: skip
    lots = Lots(account=OTHER, lots=(OneLot(expires_at_ms=END_MS, left_usd=2, lapsing_usd=1),))
    known: dict[str, Lots] = {}
    take(
        known,
        Lots,
        [make_record(lots.to_json(), key=b"lots_org_other"), make_record(b"{", key=b"key_1")],
    )

    assert sums_of(credits) == {Lot("org_local", END_MS): Sums(Decimal(12), Decimal(3))}
    assert left_of(known.values()) == {Lot("org_other", END_MS): Decimal(3)}


def test_an_overdraft_is_named_with_its_budget() -> None:
    row = Overdraft("org_1", 7, "key_a", "daily", Decimal("0.50"), Decimal("0.500000000001"))

    found = wrong(make_books(overdrafts=[row], overdraft_count=3))

    assert found.keys() == {BUDGETS}
    assert found[BUDGETS].wrong == 3
    assert found[BUDGETS].named == [
        "org_1 entry 7: 0.500000000001 USD of the daily budget of key_a, which is 0.5 USD"
    ]


def test_the_same_key_in_another_project_is_a_difference_both_ways() -> None:
    moved = A._replace(project="proj_2")

    found = wrong(make_books({A: Decimal(1)}, told={moved: Decimal(1)}))

    assert found[SHARDS].wrong == 2


@given(AMOUNTS, AMOUNTS)
def test_journal_and_shards_agree_if_every_amount_is_the_same_and_nothing_is_0(
    spent: dict[Owner, Decimal], told: dict[Owner, Decimal]
) -> None:
    is_same = all(spent.get(owner, 0) == told.get(owner, 0) for owner in (A, B))

    assert (wrong(make_books(spent, told=told)) == {}) == is_same


@pytest.mark.parametrize("count", [NAMED, NAMED + 1])
def test_only_so_many_are_named_but_all_are_counted(count: int) -> None:
    told = {A._replace(key_id=f"key_{number}"): Decimal(1) for number in range(count)}

    check = wrong(make_books({}, told=told))[SHARDS]

    assert (check.wrong, len(check.named)) == (count, NAMED)


@pytest.mark.parametrize(
    ("amount", "said"),
    [("0E-12", "0"), ("0.500000000000", "0.5"), ("1200", "1200"), ("-1E-12", "-0.000000000001")],
)
def test_an_amount_is_exact_and_without_zeros_at_its_end(amount: str, said: str) -> None:
    assert usd_text(Decimal(amount)) == said


def test_the_newest_word_on_a_key_counts() -> None:
    known: dict[str, Spend] = {}

    take(known, Spend, [make_record(make_spend("0.1").to_json())])
    take(known, Spend, [make_record(make_spend(total).to_json()) for total in ("0.3", "0.2")])

    assert totals(known.values()) == {
        Owner("org_local", "proj_default", "key_local"): Decimal("0.2")
    }


def test_what_is_held_is_told_beside_what_was_spent() -> None:
    spend = make_spend("0.1", held_usd=Decimal("0.3"))

    assert holdings([spend]) == {Owner("org_local", "proj_default", "key_local"): Decimal("0.3")}


def test_other_entries_of_the_directory_are_none_of_its_business() -> None:
    known: dict[str, Spend] = {}

    take(known, Spend, [make_record(b"{", key=b"key_local")])

    assert known == {}


def test_a_spend_that_cannot_be_read_says_where_it_lies() -> None:
    with pytest.raises(UndecodableError, match=r"accounts.directory\[3\]@7"):
        take({}, Spend, [make_record(b"{")])


def test_a_credit_that_is_told_twice_counts_once() -> None:
    known: dict[str, Credit] = {}
    told = [make_credit("10"), make_credit("-2", "refund 1"), make_credit("5", account=OTHER)]
    records = [make_record(c.to_json(), key=c.credit_id.encode()) for c in (*told, told[0])]

    take(known, Credit, [*records, make_record(b"{", key=b"key_local")])

    assert credited(known.values()) == {"org_local": Decimal(8), OTHER: Decimal(5)}


def test_a_credit_that_cannot_be_read_says_where_it_lies() -> None:
    with pytest.raises(UndecodableError, match=r"accounts.directory\[3\]@7"):
        take({}, Credit, [make_record(b"{", key=b"credit_1")])
