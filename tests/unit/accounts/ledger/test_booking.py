"""What calls cost: every call once, whoever tells of it how often, in whatever order, across restarts."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.accounts.core import AccountsCore
from crossdock.accounts.ledger.deduplication import CHUNK, CHUNKS, MAX_LIVES, BookedCalls
from crossdock.accounts.ledger.ledger import SHOW_MS
from crossdock.kernel.process.record import Page
from crossdock_schemas.accounts.journal import Entry, EntryKind, Ledger, Spend
from crossdock_schemas.calls.usage import CallOutcome, ChargeGroup, Usage
from crossdock_schemas.ids import KeyId, derive_token
from crossdock_schemas.pricing.prices import Cost
from crossdock_schemas.topics import ACCOUNT_DIRECTORY, ACCOUNT_JOURNAL
from crossdock_schemas.windows import Window, day_of
from support.builders import make_usage
from unit.accounts.builders import ACME, NOW_MS, PROJECT, units

KEY = KeyId("key_app")
TODAY = day_of(NOW_MS)


def make_call(number: int, cost: str = "0.01", **changes: Any) -> Usage:
    fields: dict[str, Any] = {
        "execution_id": f"exec_{derive_token('req_' + '0' * 32, number)}",
        "account": ACME,
        "project": PROJECT,
        "key_id": KEY,
        "cost": Cost(output=Decimal(cost)),
        "claim": "life-1",
    }
    return make_usage(**fields | changes)


def unknown(number: int, cost: str = "0.05", **changes: Any) -> Usage:
    return make_call(number, cost, outcome=CallOutcome.UNKNOWN, **changes)


def book(core: AccountsCore, rows: list[Usage], now_ms: int) -> None:
    core.ledger.book(ChargeGroup(executions=tuple(rows)), now_ms)


def spent(core: AccountsCore) -> Decimal:
    return core.states[ACME].spend(KEY).total_usd


def entries(core: AccountsCore) -> list[Entry]:
    outgoing = core.finish().outgoing
    return [Entry.from_json(r.value or b"") for r in outgoing if r.topic == ACCOUNT_JOURNAL.name]


def test_what_a_step_books_is_one_entry_that_adds_up_to_nothing() -> None:
    core = AccountsCore()

    book(core, [make_call(1), make_call(2, provider="borealis"), make_call(3)], NOW_MS)
    (entry,) = entries(core)

    assert (entry.number, entry.kind, entry.executions) == (1, EntryKind.CAPTURE, 3)
    assert sum(posting.amount_usd for posting in entry.postings) == 0
    spend = {p.provider: p.amount_usd for p in entry.postings if p.ledger is Ledger.SPEND}
    assert spend == {make_call(1).provider: Decimal("0.02"), "borealis": Decimal("0.01")}


def test_a_call_that_is_told_of_again_as_unknown_is_in_the_books_already() -> None:
    """Its worker died after it had told of it, before it told that the line had ended."""
    core = AccountsCore()
    book(core, [make_call(1)], NOW_MS)

    book(core, [unknown(1)], NOW_MS)

    assert spent(core) == Decimal("0.01")
    assert len(entries(core)) == 1


def test_a_call_that_was_taken_for_lost_is_corrected_when_its_worker_tells_of_it() -> None:
    core = AccountsCore()
    book(core, [unknown(1), unknown(1)], NOW_MS)
    before = spent(core)

    book(core, [make_call(1)], NOW_MS)

    assert (before, spent(core)) == (Decimal("0.05"), Decimal("0.01"))
    correction = entries(core)[-1]
    assert correction.kind is EntryKind.CORRECTION
    amounts = {p.ledger: p.amount_usd for p in correction.postings}
    assert amounts == {Ledger.SPEND: Decimal("-0.04"), Ledger.PROVIDER: Decimal("0.04")}
    assert core.states[ACME].spend(KEY).calls == 1


def test_what_costs_nothing_makes_no_entry() -> None:
    core = AccountsCore()

    book(core, [make_call(1, "0")], NOW_MS)

    assert entries(core) == []
    assert spent(core) == 0


def restarted(pages: dict[bytes, bytes]) -> AccountsCore:
    core = AccountsCore()
    core.restore([Page(key, value) for key, value in pages.items()])
    return core


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.booleans()), max_size=40))
def test_the_books_are_what_the_table_of_calls_says(told: list[tuple[int, bool, bool]]) -> None:
    """A slow and obvious model: per call the first row of its worker, else the first supposed one."""
    core, pages, journal = AccountsCore(), dict[bytes, bytes](), Decimal(0)
    table: dict[int, tuple[bool, Decimal]] = {}
    for number, is_known, restarts in told:
        row = make_call(number) if is_known else unknown(number)
        if number not in table or (is_known and not table[number][0]):
            table[number] = (is_known, row.cost.total)

        book(core, [row], NOW_MS)
        step = core.finish()

        for page in step.pages:
            pages.pop(page.key, None)
            if page.value is not None:
                pages[page.key] = page.value
        for record in step.outgoing:
            entry = Entry.from_json(record.value or b"")
            assert sum(posting.amount_usd for posting in entry.postings) == 0
            journal += sum(p.amount_usd for p in entry.postings if p.ledger is Ledger.SPEND)
        if restarts:
            core = restarted(pages)
    wanted = sum((amount for _, amount in table.values()), Decimal(0))
    assert journal == wanted
    assert not told or spent(core) == wanted


def test_of_each_life_the_latest_calls_are_remembered() -> None:
    recent = BookedCalls()
    limit = CHUNK * CHUNKS
    for number in range(limit + CHUNK):
        recent.add(make_call(number), TODAY)

    kept = [recent.add(unknown(n), TODAY) is None for n in (limit + CHUNK - 1, 2 * CHUNK, 0)]

    assert kept == [True, True, False]


def test_lives_that_ended_long_ago_are_forgotten() -> None:
    recent = BookedCalls()
    for life in range(MAX_LIVES + 1):
        recent.add(make_call(life, claim=f"life-{life}"), TODAY)

    pages = recent.chunks.finish()

    assert recent.add(unknown(0, claim="life-0"), TODAY) is not None
    assert recent.add(unknown(1, claim="life-1"), TODAY) is None
    assert [p.key for p in pages if p.value is None][:1] == [b"recent/life-0/0"]


def test_supposed_calls_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossdock.accounts.ledger.deduplication.MAX_UNKNOWN", 2)
    recent = BookedCalls()
    for number in range(3):
        recent.add(unknown(number), TODAY)

    assert recent.add(unknown(0), TODAY) is not None
    assert recent.add(unknown(2), TODAY) is None


def test_a_ring_goes_on_where_it_was_after_a_restart() -> None:
    first = BookedCalls()
    for number in range(CHUNK + 5):
        first.add(make_call(number), TODAY)
    second = BookedCalls()
    second.restore([*first.chunks.finish(), Page(b"recent/life-0/3", None)])
    for number in range(CHUNK + 5, CHUNK * CHUNKS):
        second.add(make_call(number), TODAY)

    assert all(second.add(unknown(n), TODAY) is None for n in (0, CHUNK, CHUNK + 4, CHUNK + 5))


def told(core: AccountsCore) -> list[Spend]:
    outgoing = core.finish().outgoing
    return [Spend.from_json(r.value or b"") for r in outgoing if r.topic == ACCOUNT_DIRECTORY.name]


def test_the_directory_is_told_once_a_second_at_most_and_the_last_word_comes() -> None:
    core = AccountsCore()
    seen = []
    for at_ms in (0, 10, 500, SHOW_MS, SHOW_MS + 1, 3 * SHOW_MS):
        if at_ms <= 500:
            book(core, [make_call(at_ms)], NOW_MS + at_ms)
        core.ledger.show(NOW_MS + at_ms)
        seen.append([spend.total_usd for spend in told(core)])

    assert seen == [[Decimal("0.01")], [], [], [Decimal("0.03")], [], []]


def test_after_a_restart_the_directory_is_told_again() -> None:
    core = AccountsCore()
    book(core, [make_call(1)], NOW_MS)
    pages = {page.key: page.value for page in core.finish().pages if page.value is not None}
    other = restarted(pages)

    other.ledger.show(NOW_MS)

    assert [spend.total_usd for spend in told(other)] == [Decimal("0.01")]


def test_corrections_that_cancel_each_other_out_are_no_posting() -> None:
    core = AccountsCore()
    book(core, [unknown(1, "0.05"), unknown(2, "0.01")], NOW_MS)
    core.finish()

    book(core, [make_call(1, "0.01"), make_call(2, "0.05")], NOW_MS)

    assert entries(core) == []
    assert spent(core) == Decimal("0.06")


@pytest.mark.parametrize("order", [1, -1], ids=["the older first", "the newer first"])
def test_what_keys_spent_on_different_days_is_added_up_by_window_after_a_restart(
    order: int,
) -> None:
    core = AccountsCore()
    book(core, [make_call(1, "1")], NOW_MS)
    pages = {page.key: page.value for page in core.finish().pages}
    book(core, [make_call(2, "2", key_id=KeyId("key_other"))], NOW_MS + 86_400_000)
    pages |= {page.key: page.value for page in core.finish().pages}

    found = {key: value for key, value in pages.items() if value is not None}
    again = restarted(dict(list(found.items())[::order]))

    totals = again.states[ACME].totals_of(PROJECT)
    assert [totals.spent[w] for w in (Window.TOTAL, Window.DAILY)] == [units(3), units(2)]
