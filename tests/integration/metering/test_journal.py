"""The journal in ClickHouse: told twice it is booked once, and what is lost or wrong in it is seen."""

from decimal import Decimal

from crossdock.kernel.drivers.clickhouse import Tables, migrate, open_tables
from crossdock.metering.rows import COLUMNS, attempt_row, posting_rows
from crossdock_schemas.accounts.journal import Entry, EntryKind, Ledger
from crossdock_schemas.calls.usage import CallOutcome, Usage
from crossdock_schemas.ids import AccountId, ExecutionId
from crossdock_schemas.pricing.prices import Cost
from support.builders import NOW_MS, OWNER, make_entry, make_posting, make_usage
from support.topics import fresh

_POSTINGS = (
    "SELECT number, line, kind, executions, ledger, provider, amount_usd, toUnixTimestamp64Milli(at) "
    "FROM crossdock.journal FINAL WHERE account = {account:String} ORDER BY number, line"
)
_OF = "FROM crossdock.{view} WHERE account = {{account:String}}"
_GAPS = "SELECT first_number, last_number, entries, missing " + _OF.format(view="journal_gaps")
_UNBALANCED = "SELECT number, postings, off_by_usd " + _OF.format(view="journal_unbalanced")
_SPENT = "SELECT project, key_id, spent_usd " + _OF.format(view="spend_by_key")
_DIFFERENCES = "SELECT provider, spent_usd, cost_usd " + _OF.format(view="journal_differences")


async def book(tables: Tables, *entries: Entry) -> None:
    for entry in entries:
        await tables.insert("journal", posting_rows(entry))


async def call(tables: Tables, account: AccountId, usd: str, number: int = 1) -> None:
    await tables.insert("attempts", [attempt_row(make_call(account, usd, number))])


def make_call(account: AccountId, usd: str, number: int = 1) -> Usage:
    return make_usage(
        account=account,
        execution_id=ExecutionId(f"exec_{number:032x}"),
        cost=Cost(output=Decimal(usd)),
    )


async def ask(tables: Tables, sql: str, account: AccountId) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await tables.query(sql, {"account": account})]


async def test_an_entry_that_is_inserted_twice_is_booked_once(clickhouse_url: str) -> None:
    account = AccountId(fresh("org"))
    capture = make_entry(1, "0.000000000003", account=account, executions=4)
    correction = make_entry(2, "-0.000000000001", account=account, kind=EntryKind.CORRECTION)
    async with open_tables(clickhouse_url, COLUMNS) as tables:
        await migrate(tables)
        for _ in range(2):
            await book(tables, capture, correction)

        three, one = Decimal("0.000000000003"), Decimal("0.000000000001")
        assert await ask(tables, _POSTINGS, account) == [
            (1, 0, "capture", 4, "spend", "atlas", three, NOW_MS),
            (1, 1, "capture", 4, "provider", "atlas", -three, NOW_MS),
            (2, 0, "correction", 1, "spend", "atlas", -one, NOW_MS),
            (2, 1, "correction", 1, "provider", "atlas", one, NOW_MS),
        ]
        assert await ask(tables, _GAPS, account) == [(1, 2, 2, 0)]
        assert await ask(tables, _UNBALANCED, account) == []
        assert await ask(tables, _SPENT, account) == [
            (OWNER["project"], OWNER["key_id"], three - one)
        ]


async def test_a_number_that_is_missing_is_found_until_it_comes(clickhouse_url: str) -> None:
    account = AccountId(fresh("org"))
    async with open_tables(clickhouse_url, COLUMNS) as tables:
        await migrate(tables)
        await book(tables, *(make_entry(number, account=account) for number in (2, 4, 4, 5)))

        assert await ask(tables, _GAPS, account) == [(2, 5, 3, 2)]

        await book(tables, *(make_entry(number, account=account) for number in (1, 3)))
        assert await ask(tables, _GAPS, account) == [(1, 5, 5, 0)]


async def test_an_entry_with_a_lost_or_a_wrong_side_is_found(clickhouse_url: str) -> None:
    account = AccountId(fresh("org"))
    spent = make_posting("0.5")
    wrong = make_posting("-0.500000000001", Ledger.PROVIDER)
    async with open_tables(clickhouse_url, COLUMNS) as tables:
        await migrate(tables)
        await book(
            tables,
            make_entry(1, account=account),
            make_entry(2, account=account, postings=(spent,)),
            make_entry(3, account=account, postings=(spent, wrong)),
        )

        assert sorted(await ask(tables, _UNBALANCED, account)) == [
            (2, 1, Decimal("0.5")),
            (3, 2, Decimal("-0.000000000001")),
        ]


async def test_the_journal_and_the_calls_differ_until_both_are_there(clickhouse_url: str) -> None:
    account = AccountId(fresh("org"))
    cent = Decimal("0.01")
    async with open_tables(clickhouse_url, COLUMNS) as tables:
        await migrate(tables)
        await call(tables, account, "0.01")
        assert await ask(tables, _DIFFERENCES, account) == [("atlas", 0, cent)]

        await book(tables, make_entry(1, "0.01", account=account))
        assert await ask(tables, _DIFFERENCES, account) == []

        await book(tables, make_entry(2, "0.02", account=account))
        assert await ask(tables, _DIFFERENCES, account) == [("atlas", 3 * cent, cent)]

        await call(tables, account, "0.02", number=2)
        assert await ask(tables, _DIFFERENCES, account) == []


async def test_what_lies_with_the_wrong_provider_differs_twice(clickhouse_url: str) -> None:
    account = AccountId(fresh("org"))
    cent = Decimal("0.01")
    spent = make_posting("0.01", provider="borealis")
    owed = make_posting("-0.01", Ledger.PROVIDER, provider="borealis")
    async with open_tables(clickhouse_url, COLUMNS) as tables:
        await migrate(tables)
        await call(tables, account, "0.01")
        await book(tables, make_entry(1, account=account, postings=(spent, owed)))

        assert sorted(await ask(tables, _DIFFERENCES, account)) == [
            ("atlas", 0, cent),
            ("borealis", cent, 0),
        ]


async def test_an_end_that_becomes_known_is_corrected_in_both(clickhouse_url: str) -> None:
    """The estimate of a call whose worker died is replaced in `attempts`, and corrected in the journal."""
    account = AccountId(fresh("org"))
    supposed = make_call(account, "0.03").model_copy(update={"outcome": CallOutcome.UNKNOWN})
    async with open_tables(clickhouse_url, COLUMNS) as tables:
        await migrate(tables)
        await tables.insert("attempts", [attempt_row(supposed)])
        await book(tables, make_entry(1, "0.03", account=account))
        await call(tables, account, "0.01")
        correction = make_entry(2, "-0.02", account=account, kind=EntryKind.CORRECTION)
        await book(tables, correction)

        assert await ask(tables, _DIFFERENCES, account) == []
