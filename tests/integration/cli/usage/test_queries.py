"""The past requests that `crossdock policies test` reads from a real ClickHouse."""

import asyncio

from crossdock.audit.policy_replay import PastRequests
from crossdock.cli.usage.queries import read_requests
from crossdock.kernel.drivers.clickhouse import migrate, open_tables
from crossdock.kernel.process.clock import SystemClock
from crossdock.metering.rows import COLUMNS, request_row
from crossdock_schemas.ids import AccountId, make_request_id
from support.builders import CHAT, OWNER, make_group, make_result
from support.topics import fresh

HOUR_MS = 3_600_000


async def test_requests_are_counted_once_within_the_hours_and_of_one_account(
    clickhouse_url: str,
) -> None:
    account, other = AccountId(fresh("org")), AccountId(fresh("org"))
    now_ms = SystemClock().now_ms()
    tern, more, gull, lost, early = (
        make_result(model=model, request_id=make_request_id(now_ms - age * HOUR_MS))
        for model, age in (("tern", 0), ("tern", 1), ("gull", 1), ("heron", 1), ("heron", 3))
    )
    group = make_group([], account=account)
    rows = [
        request_row(group, tern, 1),
        request_row(group, tern, 2),  # told twice
        request_row(group, more, 3),
        request_row(group, gull, 4),
        request_row(group, early, 5),
        request_row(make_group([], account=other), lost, 6),
    ]

    async with open_tables(clickhouse_url, COLUMNS) as tables:
        await migrate(tables)
        await tables.insert("requests", rows)
    found = await asyncio.to_thread(read_requests, clickhouse_url, account, 2.0, 5)

    owner = (account, OWNER["project"], OWNER["key_id"])
    assert sorted(found) == [
        PastRequests(*owner, "gull", CHAT, 1),
        PastRequests(*owner, "tern", CHAT, 2),
    ]
