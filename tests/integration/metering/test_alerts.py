"""Alerts in ClickHouse: told twice is one row."""

from decimal import Decimal

from crossdock.kernel.drivers.clickhouse import migrate, open_tables
from crossdock.metering.rows import COLUMNS, alert_row
from crossdock_schemas.accounts.alert import AlertKind
from crossdock_schemas.ids import AccountId, AlertId
from support.builders import DAY_S, NOW_MS, make_alert
from support.topics import fresh

_ALERTS = (
    "SELECT kind, scope, window, limit_usd, spent_usd, toUnixTimestamp64Milli(at), toUnixTimestamp64Milli(until) "
    "FROM crossdock.alerts FINAL WHERE account = {account:String} ORDER BY kind"
)


async def test_an_alert_that_is_inserted_twice_is_one_row(clickhouse_url: str) -> None:
    account = AccountId(fresh("org"))
    low = make_alert(
        alert_id=AlertId("alert_" + "6" * 32),
        account=account,
        kind=AlertKind.CREDITS_LOW,
        scope=account,
        window=None,
        until_ms=None,
    )
    rows = [alert_row(make_alert(account=account)), alert_row(low)]
    async with open_tables(clickhouse_url, COLUMNS) as tables:
        await migrate(tables)
        for _ in range(2):
            await tables.insert("alerts", rows)

        found = [tuple(row) for row in await tables.query(_ALERTS, {"account": account})]

    ten, spent = Decimal(10), Decimal("8.25")
    until_ms = NOW_MS + DAY_S * 1000
    assert found == [
        ("budget_nearly_used", "key_local", "daily", ten, spent, NOW_MS, until_ms),
        ("credits_low", account, "", ten, spent, NOW_MS, None),
    ]
