"""Inserts of many rows: the client sends them in several blocks, and all of them must be in the table."""

from crossdock.kernel.drivers.clickhouse import migrate, open_tables
from crossdock.metering.rows import COLUMNS, attempt_row
from crossdock_schemas.ids import AccountId, execution_id, make_request_id
from support.builders import NOW_MS, make_usage
from support.topics import fresh

ROWS = 10_000  # as many as the sink sends at once
_COUNT = "SELECT count(), uniqExact(execution_id) FROM crossdock.attempts WHERE account = {account:String}"


async def test_every_row_of_a_large_insert_is_there(clickhouse_url: str) -> None:
    account = AccountId(fresh("org"))
    request = make_request_id(NOW_MS)
    calls = [
        make_usage(
            account=account, line=n, execution_id=execution_id(request, 1, n, "life-1", None)
        )
        for n in range(ROWS)
    ]
    async with open_tables(clickhouse_url, COLUMNS) as tables:
        await migrate(tables)
        await tables.insert("attempts", [attempt_row(call) for call in calls])

        (found,) = await tables.query(_COUNT, {"account": account})

    assert tuple(found) == (ROWS, ROWS)
