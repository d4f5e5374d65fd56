"""Credits in ClickHouse, booked by the shard's own core: every entry, what is left, and nothing else counts them."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from crossdock.accounts.core import AccountsCore
from crossdock.kernel.drivers.clickhouse import Tables, migrate, open_tables
from crossdock.metering.rows import COLUMNS, attempt_row, change_row, posting_rows
from crossdock_schemas.accounts.control import (
    BudgetChange,
    Change,
    Command,
    Credited,
    PrepaymentSet,
)
from crossdock_schemas.accounts.credit import CreditKind, Terms
from crossdock_schemas.accounts.journal import Entry, EntryKind, Ledger
from crossdock_schemas.calls.usage import Charge, ChargeGroup
from crossdock_schemas.ids import AccountId, ExecutionId, KeyId
from crossdock_schemas.money import to_units
from crossdock_schemas.pricing.prices import Cost
from crossdock_schemas.topics import ACCOUNT_CHANGES, ACCOUNT_JOURNAL
from crossdock_schemas.windows import Window
from support.builders import NOW_MS, make_entry, make_parcel, make_posting, make_usage
from support.topics import fresh
from unit.accounts.builders import PROJECT, common, make_founded, make_key

_OF = "FROM crossdock.{view} WHERE account = {{account:String}}"
_ENTRIES = "SELECT number, kind, credits_usd, fee_usd, paid_usd, granted_usd " + _OF.format(view="credit_entries") + " ORDER BY number"  # fmt: skip
_LAPSES = "SELECT kind, credits_usd, lapsed_usd, granted_usd, toUnixTimestamp64Milli(expires_at) " + _OF.format(view="credit_entries") + " ORDER BY number"  # fmt: skip
_EXPIRY = "SELECT toUnixTimestamp64Milli(expires_at), credits_usd, lapsed_usd, lapses, toUnixTimestamp64Milli(first_lapse_at) " + _OF.format(view="credit_expiry")  # fmt: skip
_LEFT = "SELECT number, lapsed_usd, left_usd " + _OF.format(view="credit_lapses") + " ORDER BY number"  # fmt: skip
_WRONG = "SELECT reason, amount_usd " + _OF.format(view="credit_lapses_wrong") + " ORDER BY reason"
_BALANCE = "SELECT credits_usd, spent_usd, balance_usd " + _OF.format(view="credit_balance")
_UNBALANCED = "SELECT number " + _OF.format(view="journal_unbalanced")
_DIFFERENCES = "SELECT * " + _OF.format(view="journal_differences")
_SPENT = "SELECT project, key_id, spent_usd " + _OF.format(view="spend_by_key")
_HELD = "SELECT project, key_id, held_usd " + _OF.format(view="held_by_key")
_USE = "SELECT number, used_usd " + _OF.format(view="budget_use")
_CREDITS_OVERDRAWN = "SELECT number, kind, credits_usd, used_usd " + _OF.format(view="credit_overdrafts") + " ORDER BY number"  # fmt: skip
_OVERDRAWN = "SELECT number " + _OF.format(view="budget_overdrafts")

CARD = Terms(fee_percent=Decimal("5.5"), fee_minimum_usd=Decimal("0.80"))
KEY = KeyId("key_app")


class Shard:
    """An organization of the accounts shard; what it writes arrives in ClickHouse."""

    def __init__(self, tables: Tables) -> None:
        self.account = AccountId(fresh("org"))
        self.tables = tables
        self.core = AccountsCore(CARD)

    async def found(self) -> None:
        founded = make_founded(self.account)
        app = make_key("key_app", account=self.account)
        await self.ask(founded.model_copy(update={"keys": (*founded.keys, app)}))

    async def ask(self, command: Command) -> None:
        change = self.core.apply(command, NOW_MS)
        assert change.refusal is None, change.reason
        await self.arrive()

    async def credit(self, kind: CreditKind, amount: str, end_ms: int | None = None) -> None:
        usd, reference = Decimal(amount), f"{kind} {amount}"
        await self.ask(Credited(**self._common(), kind=kind, amount_usd=usd, reference=reference, expires_at_ms=end_ms))  # fmt: skip

    async def prepay(self, *, is_prepaid: bool = True) -> None:
        await self.ask(PrepaymentSet(**self._common(), is_prepaid=is_prepaid))

    async def spend(self, usd: str, number: int = 1) -> None:
        """Make a call that costs so much, with its row."""
        usage = make_usage(
            account=self.account,
            project=PROJECT,
            key_id=KEY,
            execution_id=ExecutionId(f"exec_{number:032x}"),
            cost=Cost(output=Decimal(usd)),
        )
        charge = Charge.from_json(usage.to_json())
        self.core.ledger.book(ChargeGroup(executions=(charge,)), NOW_MS)
        await self.tables.insert("attempts", [attempt_row(usage)])
        await self.arrive()

    async def hold(self, usd: str) -> None:
        parcel = make_parcel(account=self.account, project=PROJECT, key_id=KEY)
        self.core.ledger.admit(parcel, [to_units(Decimal(usd))], NOW_MS)
        await self.arrive()

    async def wait_until(self, at_ms: int) -> None:
        self.core.ledger.expire(at_ms)
        await self.arrive()

    async def arrive(self) -> None:
        for record in self.core.finish().outgoing:
            if record.topic == ACCOUNT_JOURNAL.name:
                entry = Entry.from_json(record.value or b"")
                await self.tables.insert("journal", posting_rows(entry))
            elif record.topic == ACCOUNT_CHANGES.name:
                change = Change.from_json(record.value or b"")
                await self.tables.insert("control_log", [change_row(change)])

    async def look(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.tables.query(sql, {"account": self.account})]

    def _common(self) -> dict[str, Any]:
        return common() | {"account": self.account}


@pytest.fixture
async def shard(clickhouse_url: str) -> AsyncIterator[Shard]:
    async with open_tables(clickhouse_url, COLUMNS) as tables:
        await migrate(tables)
        founded = Shard(tables)
        await founded.found()
        yield founded


async def test_every_entry_says_where_the_money_came_from(shard: Shard) -> None:
    await shard.credit(CreditKind.TOP_UP, "100")
    await shard.credit(CreditKind.GRANT, "5")
    await shard.credit(CreditKind.ADJUSTMENT, "-0.000001")
    await shard.credit(CreditKind.REFUND, "-20")
    await shard.spend("1")

    fine = Decimal("-0.000001")
    assert await shard.look(_ENTRIES) == [
        (1, "top_up", 100, Decimal("5.5"), Decimal("105.5"), 0),
        (2, "grant", 5, 0, 0, 5),
        (3, "adjustment", fine, 0, 0, fine),
        (4, "refund", -20, 0, -20, 0),
    ]
    assert await shard.look(_UNBALANCED) == []


async def test_the_balance_is_what_the_shard_says(shard: Shard) -> None:
    await shard.spend("0.000000000003")
    await shard.credit(CreditKind.TOP_UP, "10")
    before = await shard.look(_BALANCE)
    await shard.prepay()
    await shard.prepay()  # as it was
    await shard.spend("4", number=2)
    during = await shard.look(_BALANCE)
    await shard.prepay(is_prepaid=False)
    after = await shard.look(_BALANCE)

    left = shard.core.states[shard.account]
    assert before == [(10, Decimal("0.000000000003"), None)]
    assert during == [(10, 4, 6)]
    assert after == [(10, Decimal("4.000000000003"), None)]
    assert left.credits_left() == to_units(10 - Decimal("4.000000000003"))


async def test_who_needs_credits_and_has_none_is_shown(shard: Shard) -> None:
    await shard.prepay()

    assert await shard.look(_BALANCE) == [(0, 0, 0)]


async def test_credits_are_in_nobody_elses_sums(shard: Shard) -> None:
    """Their postings have no project, no key and no provider."""
    budget = BudgetChange(**common() | {"account": shard.account}, scope=shard.account, window=Window.TOTAL, limit_usd=Decimal(9))  # fmt: skip
    await shard.ask(budget)
    await shard.hold("2")
    await shard.spend("1")
    views = (_SPENT, _HELD, _USE, _OVERDRAWN, _DIFFERENCES)
    before = [await shard.look(view) for view in views]

    for kind, amount in ((CreditKind.TOP_UP, "100"), (CreditKind.REFUND, "-7")):
        await shard.credit(kind, amount)

    assert [await shard.look(view) for view in views] == before
    assert before == [[(PROJECT, KEY, 1)], [(PROJECT, KEY, 2)], [(1, 2)], [], []]


async def test_an_entry_that_is_inserted_twice_is_one(shard: Shard) -> None:
    await shard.credit(CreditKind.GRANT, "5")
    again = Shard(shard.tables)
    again.account = shard.account
    await again.found()
    await again.credit(CreditKind.GRANT, "5")

    assert await shard.look(_ENTRIES) == [(1, "grant", 5, 0, 0, 5)]
    assert await shard.look(_BALANCE) == [(5, 0, None)]


END_MS = NOW_MS + 60_000


async def test_credits_that_expire_are_shown_with_what_lapsed(shard: Shard) -> None:
    """What is held when the time comes is written off later, and nothing that was spent."""
    await shard.prepay()
    await shard.credit(CreditKind.GRANT, "10", END_MS)
    await shard.credit(CreditKind.TOP_UP, "2")
    await shard.spend("1.000000000001")
    await shard.hold("3")
    before = await shard.look(_EXPIRY)
    await shard.wait_until(END_MS)
    await shard.wait_until(NOW_MS + 2 * 86_400_000)  # nobody told of the held call's end

    first = Decimal("5.999999999999")
    assert before == [(END_MS, 10, 0, 0, None)]
    assert await shard.look(_LAPSES) == [
        ("grant", 10, 0, 10, END_MS),
        ("top_up", 2, 0, 0, None),
        ("lapse", -first, first, 0, END_MS),
        ("lapse", -3, 3, 0, END_MS),
    ]
    assert await shard.look(_EXPIRY) == [(END_MS, 10, first + 3, 2, END_MS)]
    assert [row[1:] for row in await shard.look(_LEFT)] == [(first, 2), (3, 2)]
    assert await shard.look(_BALANCE) == [(3 - first + 6, Decimal("1.000000000001"), 2)]
    assert await shard.look(_WRONG) == await shard.look(_UNBALANCED) == []


async def test_who_needs_no_credits_has_no_rest_that_a_lapse_could_overdraw(shard: Shard) -> None:
    await shard.spend("50")
    await shard.credit(CreditKind.GRANT, "10", END_MS)
    await shard.wait_until(END_MS)

    assert [row[1:] for row in await shard.look(_LEFT)] == [(10, None)]
    assert await shard.look(_WRONG) == []


async def test_a_write_off_that_should_not_be_is_found(shard: Shard) -> None:
    """Before its time, of more than there was, of what is held."""
    await shard.prepay()
    await shard.credit(CreditKind.GRANT, "10", END_MS)
    await shard.hold("4")
    state = shard.core.states[shard.account]
    sides = ((Ledger.CREDITS, "-11"), (Ledger.LAPSED, "11"))
    nobody: dict[str, Any] = {"project": "", "key_id": "", "provider": ""}
    postings = tuple(
        make_posting(
            usd, ledger, expires_at_ms=END_MS if ledger is Ledger.CREDITS else None, **nobody
        )
        for ledger, usd in sides
    )
    entry = make_entry(
        state.entries + 1, account=shard.account, kind=EntryKind.LAPSE, executions=0,
        change=state.number, at_ms=END_MS - 1, postings=postings,
    )  # fmt: skip
    await shard.tables.insert("journal", posting_rows(entry))

    assert await shard.look(_WRONG) == [("early", 11), ("overdrawn", 11), ("too much", 11)]


async def test_what_is_spent_beyond_the_credits_is_found(clickhouse_url: str) -> None:
    async with open_tables(clickhouse_url, COLUMNS) as tables:
        await migrate(tables)
        shard = Shard(tables)
        await shard.found()
        await shard.spend("7", 1)
        assert await shard.look(_CREDITS_OVERDRAWN) == []  # no credits are required

        await shard.prepay()
        await shard.credit(CreditKind.GRANT, "5")
        await shard.hold("5")
        await shard.spend("0", 2)
        assert await shard.look(_CREDITS_OVERDRAWN) == []

        await shard.spend("0.5", 3)
        found = await shard.look(_CREDITS_OVERDRAWN)

    ((_, kind, credits_usd, used_usd),) = found
    assert (kind, credits_usd, used_usd) == ("capture", Decimal(12), Decimal("12.5"))
