"""The control log in ClickHouse: a change told twice is one row, and a lost one is seen."""

from collections.abc import Iterable

from crossdock.kernel.drivers.clickhouse import Tables, migrate, open_tables
from crossdock.metering.rows import COLUMNS, change_row
from crossdock_schemas.accounts.control import Refusal
from crossdock_schemas.ids import AccountId
from support.builders import NOW_MS, make_change
from support.topics import fresh

_LOG = (
    "SELECT number, actor, before, after, refusal, reason, toUnixTimestamp64Milli(at) "
    "FROM crossdock.control_log FINAL WHERE account = {account:String} ORDER BY number"
)
_GAPS = (
    "SELECT first_number, last_number, changes, missing "
    "FROM crossdock.control_gaps WHERE account = {account:String}"
)


async def log_changes(tables: Tables, account: AccountId, numbers: Iterable[int]) -> None:
    rows = [change_row(make_change(number, account=account)) for number in numbers]
    await tables.insert("control_log", rows)


async def gaps_of(tables: Tables, account: AccountId) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await tables.query(_GAPS, {"account": account})]


async def test_a_change_that_is_inserted_twice_is_one_row(clickhouse_url: str) -> None:
    account = AccountId(fresh("org"))
    refused = make_change(
        2, account=account, actor=None, before={}, after={}, refusal=Refusal.INVALID, reason="no"
    )
    async with open_tables(clickhouse_url, COLUMNS) as tables:
        await migrate(tables)
        for _ in range(2):
            await log_changes(tables, account, [1])
            await tables.insert("control_log", [change_row(refused)])

        found = await tables.query(_LOG, {"account": account})

        assert [tuple(row) for row in found] == [
            (1, "key_admin", {"disabled": "false"}, {"disabled": "true"}, "", "", NOW_MS),
            (2, "", {}, {}, "invalid_request", "no", NOW_MS),
        ]
        assert await gaps_of(tables, account) == [(1, 2, 2, 0)]


async def test_a_number_that_is_missing_is_found_until_it_comes(clickhouse_url: str) -> None:
    account, other = AccountId(fresh("org")), AccountId(fresh("org"))
    async with open_tables(clickhouse_url, COLUMNS) as tables:
        await migrate(tables)
        await log_changes(tables, account, [1, 2, 4, 4, 7])
        await log_changes(tables, other, [1, 2])

        assert await gaps_of(tables, account) == [(1, 7, 4, 3)]
        assert await gaps_of(tables, other) == [(1, 2, 2, 0)]

        await log_changes(tables, account, [3, 5, 6])
        assert await gaps_of(tables, account) == [(1, 7, 7, 0)]


async def test_a_lost_beginning_is_missing_too(clickhouse_url: str) -> None:
    account = AccountId(fresh("org"))
    async with open_tables(clickhouse_url, COLUMNS) as tables:
        await migrate(tables)
        await log_changes(tables, account, [3, 4])

        assert await gaps_of(tables, account) == [(3, 4, 2, 2)]
