"""Budgets in ClickHouse: what they were at each moment, and whether a hold ever overdrew one."""

import json
from collections.abc import AsyncIterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from crossdock.kernel.drivers.clickhouse import Tables, migrate, open_tables
from crossdock.metering.rows import COLUMNS, change_row, posting_rows
from crossdock_schemas.accounts.attribution import tag_scope
from crossdock_schemas.accounts.control import Refusal
from crossdock_schemas.accounts.journal import Entry, EntryKind, Ledger
from crossdock_schemas.ids import AccountId, KeyId, ProjectId
from support.builders import TODAY, make_change, make_entry, make_hold, make_posting
from support.topics import fresh

_OF = "WHERE account = {account:String}"
_HISTORY = f"""
SELECT scope, window, limit_usd, from_change, to_change FROM crossdock.budget_history {_OF}
ORDER BY from_change, scope, window
"""
_OVERDRAFTS = f"""
SELECT number, scope, window, limit_usd, used_usd FROM crossdock.budget_overdrafts {_OF}
ORDER BY number, scope, window
"""
_OVERSPENT = f"SELECT number, kind, used_usd, more_usd FROM crossdock.budget_overspent {_OF}"
_USE = f"SELECT number, window_from, used_usd FROM crossdock.budget_use {_OF} ORDER BY number"
_USE_BY_SCOPE = (
    f"SELECT number, scope, used_usd FROM crossdock.budget_use {_OF} ORDER BY number, scope"
)
_HELD = f"SELECT project, key_id, held_usd FROM crossdock.held_by_key {_OF}"

YESTERDAY = TODAY - timedelta(days=1)
KEY = KeyId("key_a")
OTHER = KeyId("key_b")
PROJECT = ProjectId("proj_a")


class Ledgers:
    """An account's log and journal: numbers count up, and each entry is of the change before it."""

    def __init__(self, tables: Tables) -> None:
        self.account = AccountId(fresh("org"))
        self.tables = tables
        self._changes = 0
        self.entries = 0

    async def change(self, action: str, target: str, **changes: Any) -> None:
        """Log a change; what is in `changes` is what the log says of the fields."""
        self._changes += 1
        refusal = changes.pop("refusal", None)
        said = {name: json.dumps(value) for name, value in changes.items()}
        row = make_change(
            self._changes,
            account=self.account,
            action=action,
            target=target,
            before={},
            after=said,
            refusal=refusal,
        )
        await self.tables.insert("control_log", [change_row(row)])

    async def set_budget(self, scope: str, window: str, limit_usd: str, **changes: Any) -> None:
        said = {"limit_usd": limit_usd, "version": self._changes + 1} | changes
        await self.change("set_budget", f"budget_{window}_{scope}", **said)

    async def hold(
        self,
        amount_usd: str,
        day: date = TODAY,
        key_id: KeyId = KEY,
        marks: tuple[str, ...] = (),
    ) -> None:
        """Set so much aside, or free it if it is below 0."""
        whose = {"account": self.account, "project": PROJECT, "key_id": key_id, "marks": marks}
        await self._book(make_hold(self.entries + 1, amount_usd, day, **whose))

    async def capture(
        self, spent_usd: str, held_usd: str, day: date = TODAY, *, is_byok: bool = False
    ) -> None:
        """Book what a call cost; its hold gives up so much."""
        whose: dict[str, Any] = {"project": PROJECT, "key_id": KEY, "day": day}
        sides = [
            (Ledger.SPEND, spent_usd, is_byok),
            (Ledger.PROVIDER, f"-{spent_usd}", is_byok),
            (Ledger.HELD, f"-{held_usd}", False),
            (Ledger.AVAILABLE, held_usd, False),
        ]
        postings = tuple(
            make_posting(amount, ledger, is_byok=own, **whose) for ledger, amount, own in sides
        )
        kind = EntryKind.CAPTURE
        entry = make_entry(self.entries + 1, account=self.account, kind=kind, postings=postings)
        await self._book(entry)

    async def _book(self, entry: Entry) -> None:
        self.entries += 1
        dated = entry.model_copy(update={"change": self._changes})
        await self.tables.insert("journal", posting_rows(dated))

    async def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.tables.query(sql, {"account": self.account})]

    async def overdrawn(self) -> list[int]:
        """Return the numbers of the entries that should not be."""
        return [row[0] for row in await self.ask(_OVERDRAFTS)]


@pytest.fixture
async def books(clickhouse_url: str) -> AsyncIterator[Ledgers]:
    async with open_tables(clickhouse_url, COLUMNS) as tables:
        await migrate(tables)
        yield Ledgers(tables)


async def test_what_counts_for_an_end_user_is_held_against_its_budget(books: Ledgers) -> None:
    """Only postings that say so count, and those that came before the budget do not say so."""
    alice, team = "user:alice", tag_scope("team=", "search")
    await books.hold("9")
    await books.set_budget(alice, "total", "2")
    await books.set_budget(team, "total", "5")
    await books.hold("2", marks=(alice, team))
    await books.hold("-1", marks=(alice, team))
    await books.hold("3", marks=(team,))
    await books.hold("-9")
    fitting = await books.ask(_OVERDRAFTS)

    await books.hold("1.5", marks=(alice,))
    await books.hold("1.5", marks=(team,))

    found = await books.ask(_OVERDRAFTS)
    assert await books.ask(_USE_BY_SCOPE) == [
        (2, team, Decimal(2)),
        (2, alice, Decimal(2)),
        (4, team, Decimal(4)),
        (6, alice, Decimal("2.5")),
        (7, team, Decimal("5.5")),
    ]
    assert fitting == []
    assert [(row[0], row[1], row[4]) for row in found] == [
        (6, alice, Decimal("2.5")),
        (7, team, Decimal("5.5")),
    ]


async def test_an_entry_of_before_counts_on_the_day_it_was_booked(books: Ledgers) -> None:
    await books.set_budget(KEY, "daily", "1")
    tables = books.tables  # a row without a day, as yesterday's metering wrote it
    values = f"('{books.account}', 1, 0, '2027-01-15 23:59:59.999', 'capture', 'spend', '{PROJECT}', '{KEY}', 2)"
    names = "(account, number, line, at, kind, ledger, project, key_id, amount_usd)"
    await tables.command(f"INSERT INTO crossdock.journal {names} VALUES {values}")
    books.entries = 1
    await books.hold("0.5")
    await books.hold("0.5", TODAY + timedelta(days=1))

    assert await books.ask(_USE) == [(2, TODAY, Decimal("2.5")), (3, TODAY + timedelta(days=1), Decimal("0.5"))]  # fmt: skip


async def test_what_is_held_is_what_was_set_aside_and_not_given_back(books: Ledgers) -> None:
    await books.hold("1")
    await books.capture("0.25", "0.5")
    await books.hold("-0.125")

    assert await books.ask(_HELD) == [(PROJECT, KEY, Decimal("0.375"))]


async def test_budgets_are_known_by_the_changes_that_made_and_ended_them(books: Ledgers) -> None:
    await books.change("create_key", KEY, name="x", limit_usd="100.5", window="daily")
    await books.change("create_key", OTHER, name="y")
    await books.set_budget(KEY, "weekly", "7")
    await books.set_budget(KEY, "weekly", "1", refusal=Refusal.PERMISSION_DENIED)
    await books.change("set_budget", f"budget_weekly_{KEY}")  # as it was
    await books.change("set_budget", f"budget_weekly_{KEY}", ended=["daily"])  # only=True
    await books.change("rotate_key", KEY, successor=OTHER, budgets={"weekly": "7"})
    await books.set_budget(KEY, "weekly", "9")
    await books.change("clear_budget", f"budget_weekly_{KEY}")
    await books.set_budget(books.account, "total", "0")
    await books.set_budget(books.account, "monthly", "3")
    await books.change("clear_budget", books.account, ended=["total", "monthly"])
    await books.set_budget(OTHER, "total", "5")
    await books.change("delete_key", OTHER)
    await books.set_budget("proj_with_a_longer_name", "monthly", "0.000001")

    org = books.account
    assert await books.ask(_HISTORY) == [
        (KEY, "daily", Decimal("100.5"), 1, 6),
        (KEY, "weekly", 7, 3, 8),
        (OTHER, "weekly", 7, 7, 14),
        (KEY, "weekly", 9, 8, 9),
        (org, "total", 0, 10, 12),
        (org, "monthly", 3, 11, 12),
        (OTHER, "total", 5, 13, 14),
        ("proj_with_a_longer_name", "monthly", Decimal("0.000001"), 15, None),
    ]


async def test_a_hold_that_a_budget_had_no_room_for_is_found(books: Ledgers) -> None:
    await books.set_budget(books.account, "total", "1")
    await books.hold("0.75", key_id=OTHER)
    await books.hold("0.25")
    assert await books.ask(_OVERDRAFTS) == []

    await books.hold("0.000000000001")
    one = Decimal("1.000000000001")
    assert await books.ask(_OVERDRAFTS) == [(3, books.account, "total", 1, one)]


@pytest.mark.parametrize("scope", [PROJECT, KEY])
async def test_a_budget_binds_what_is_in_its_scope(books: Ledgers, scope: str) -> None:
    await books.set_budget(scope, "total", "1")
    await books.hold("5", key_id=OTHER)
    await books.hold("1")

    assert await books.overdrawn() == ([1, 2] if scope == PROJECT else [])


async def test_what_is_given_back_may_be_held_again(books: Ledgers) -> None:
    await books.set_budget(KEY, "total", "1")
    await books.hold("1")
    await books.capture("0.25", "1")
    await books.hold("0.75")
    await books.hold("-0.5")
    await books.hold("0.5")

    assert await books.ask(_OVERDRAFTS) == []


async def test_a_call_that_cost_more_than_its_hold_is_no_overdraft_but_leaves_less(
    books: Ledgers,
) -> None:
    await books.set_budget(KEY, "total", "1")
    await books.hold("1")
    await books.capture("2", "1")
    assert await books.overdrawn() == []

    await books.hold("0.01")
    assert await books.overdrawn() == [3]


async def test_what_is_spent_beyond_the_holds_is_found_where_the_budget_does_not_cover_it(
    books: Ledgers,
) -> None:
    """One answer with 10^12 tokens spends 11,000,000 USD of a budget of 0.02, though every hold was covered."""
    await books.set_budget(KEY, "total", "1")
    await books.hold("0.5")
    await books.capture("0.6", "0.5")
    assert await books.ask(_OVERSPENT) == []

    await books.hold("0.4")
    await books.capture("0.4", "0.4")
    assert await books.ask(_OVERSPENT) == []

    await books.capture("11000000", "0")
    assert await books.ask(_OVERSPENT) == [(5, "capture", Decimal(11000001), Decimal(11000000))]


async def test_what_was_held_before_a_limit_was_lowered_may_be_spent(books: Ledgers) -> None:
    await books.set_budget(KEY, "total", "1")
    await books.hold("0.8")
    await books.set_budget(KEY, "total", "0.1")
    await books.capture("0.8", "0.8")
    assert await books.ask(_OVERSPENT) == []

    await books.capture("0.1", "0.05", is_byok=True)
    assert await books.ask(_OVERSPENT) == []

    await books.set_budget(KEY, "total", "0.1", include_byok=True)
    await books.capture("0.1", "0.05", is_byok=True)
    assert [row[0] for row in await books.ask(_OVERSPENT)] == [4]


@pytest.mark.parametrize(
    ("window", "then", "now", "found"),
    [
        pytest.param("daily", "2027-01-14", "2027-01-15", [], id="midnight"),
        pytest.param("daily", "2027-01-15", "2027-01-15", [2], id="the same day"),
        pytest.param("weekly", "2027-01-10", "2027-01-11", [], id="Monday"),
        pytest.param("weekly", "2027-01-11", "2027-01-17", [2], id="Sunday"),
        pytest.param("monthly", "2027-01-31", "2027-02-01", [], id="the first of the month"),
        pytest.param("monthly", "2027-02-01", "2027-02-28", [2], id="the last of the month"),
        pytest.param("total", "2027-01-01", "2029-01-01", [2], id="no window"),
    ],
)
async def test_a_budget_begins_anew_with_its_window(
    books: Ledgers, window: str, then: str, now: str, found: list[int]
) -> None:
    await books.set_budget(KEY, window, "1")

    await books.hold("1", date.fromisoformat(then))
    await books.hold("1", date.fromisoformat(now))

    assert await books.overdrawn() == found


async def test_a_late_capture_counts_on_the_day_of_its_hold(books: Ledgers) -> None:
    await books.set_budget(KEY, "daily", "1")
    await books.hold("1", YESTERDAY)
    await books.capture("5", "1", YESTERDAY)
    await books.hold("1", TODAY)
    assert await books.overdrawn() == []

    await books.capture("0.5", "0.25", TODAY)
    await books.hold("0.25", TODAY)
    assert await books.overdrawn() == [5]


async def test_a_limit_counts_from_the_change_that_set_it(books: Ledgers) -> None:
    await books.hold("3")
    await books.set_budget(KEY, "total", "4")
    await books.hold("1")
    await books.set_budget(KEY, "total", "2")  # lower than what is used: holds nothing more
    await books.hold("-1")
    assert await books.overdrawn() == []

    await books.hold("1")
    await books.set_budget(KEY, "total", "5")
    await books.hold("1")
    assert [row[:4] for row in await books.ask(_OVERDRAFTS)] == [(4, KEY, "total", 2)]


@pytest.mark.parametrize(
    ("action", "target", "said"),
    [
        pytest.param("clear_budget", f"budget_daily_{KEY}", {}, id="cleared"),
        pytest.param("clear_budget", KEY, {"ended": ["daily"]}, id="all were cleared"),
        pytest.param(
            "set_budget",
            f"budget_total_{KEY}",
            {"limit_usd": "100", "ended": ["daily"]},
            id="another one is the only one",
        ),
        pytest.param("delete_key", KEY, {}, id="its key was deleted"),
    ],
)
async def test_a_budget_that_ended_binds_nothing(
    books: Ledgers, action: str, target: str, said: dict[str, Any]
) -> None:
    await books.set_budget(KEY, "daily", "1")
    await books.change(action, target, **said, refusal=Refusal.INVALID)
    await books.hold("2")
    await books.change(action, target, **said)
    await books.hold("2")

    assert await books.overdrawn() == [1]


async def test_each_budget_that_is_overdrawn_is_told(books: Ledgers) -> None:
    await books.set_budget(KEY, "daily", "1")
    await books.set_budget(KEY, "weekly", "2")
    await books.set_budget(PROJECT, "total", "9")
    await books.hold("3")

    assert await books.ask(_OVERDRAFTS) == [(1, KEY, "daily", 1, 3), (1, KEY, "weekly", 2, 3)]


async def test_a_hold_that_comes_twice_is_one(books: Ledgers) -> None:
    await books.set_budget(KEY, "total", "1")
    for _ in range(2):
        books.entries = 0  # the same entry again
        await books.hold("1")

    assert await books.overdrawn() == []


async def test_what_own_keys_paid_for_counts_where_the_budget_says_so(books: Ledgers) -> None:
    """Bit by bit: not counted, counted from the change on that says so (with what was spent before), not any more."""
    await books.set_budget(KEY, "total", "1")
    await books.hold("1")
    await books.capture("1", "1", is_byok=True)
    await books.hold("1")
    await books.hold("-1")
    assert await books.overdrawn() == []

    await books.set_budget(KEY, "total", "1", include_byok=True)
    await books.hold("0.5")
    await books.hold("-0.5")
    await books.set_budget(KEY, "total", "1", include_byok=False)
    await books.hold("1")

    assert await books.overdrawn() == [5]


async def test_budgets_tell_whether_they_count_own_keys(books: Ledgers) -> None:
    await books.change("create_key", KEY, limit_usd="1", window="daily", include_byok=True)
    await books.change("rotate_key", KEY, successor=OTHER, budgets={"daily": "1", "total": "2"}, byok=["daily"])  # fmt: skip

    found = await books.ask(
        f"SELECT scope, window, include_byok FROM crossdock.budget_history {_OF} "
        "ORDER BY from_change, window"
    )
    assert found == [(KEY, "daily", True), (OTHER, "daily", True), (OTHER, "total", False)]


async def test_a_fluid_budget_may_be_exceeded_by_so_much(books: Ledgers) -> None:
    await books.set_budget(KEY, "total", "1", include_byok=False, overshoot_usd="0.5")
    await books.hold("1.5")
    assert await books.overdrawn() == []
    await books.hold("0.000000000001")
    await books.set_budget(KEY, "total", "2", include_byok=False)  # strict from now on
    await books.hold("0.5")

    one, two = Decimal("1.500000000001"), Decimal("2.000000000001")
    assert await books.ask(_OVERDRAFTS) == [
        (2, KEY, "total", Decimal("1.5"), one),
        (3, KEY, "total", 2, two),
    ]


async def test_a_rotated_keys_budgets_stay_fluid(books: Ledgers) -> None:
    await books.set_budget(KEY, "total", "1", overshoot_usd="0.5", include_byok=False)
    await books.set_budget(KEY, "daily", "3")
    told = {"budgets": {"total": "1", "daily": "3"}, "overshoots": {"total": "0.5"}}
    await books.change("rotate_key", KEY, successor=OTHER, **told)

    ask = f"SELECT scope, window, overshoot_usd FROM crossdock.budget_history {_OF} ORDER BY from_change, scope, window"
    assert await books.ask(ask) == [
        (KEY, "total", Decimal("0.5")),
        (KEY, "daily", 0),
        (OTHER, "daily", 0),
        (OTHER, "total", Decimal("0.5")),
    ]
