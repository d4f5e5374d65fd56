"""What calls cost, by end user and by tag."""

from decimal import Decimal

from crossdock.kernel.drivers.clickhouse import migrate, open_tables
from crossdock.metering.rows import COLUMNS, attempt_row
from crossdock_schemas.ids import AccountId, ExecutionId
from crossdock_schemas.pricing.prices import Cost
from support.builders import make_usage
from support.topics import fresh

_OF = "WHERE account = {account:String}"
_USERS = f"SELECT user, calls, cost_usd FROM crossdock.usage_by_user {_OF} ORDER BY user"
_TAGS = f"SELECT tag, value, calls, cost_usd FROM crossdock.usage_by_tag {_OF} ORDER BY tag, value"


async def test_calls_are_summed_up_by_end_user_and_by_tag(clickhouse_url: str) -> None:
    account = AccountId(fresh("org"))
    named: list[tuple[str, dict[str, str]]] = [
        ("alice", {"team": "search", "odd = name": "ä"}),
        ("alice", {"team": "ads"}),
        ("", {"team": "search"}),
        ("bob", {}),
    ]
    calls = [
        make_usage(
            account=account,
            execution_id=ExecutionId(f"exec_{number:032x}"),
            user=user,
            tags=tags,
            cost=Cost(output=Decimal(number)),
        )
        for number, (user, tags) in enumerate(named, start=1)
    ]
    async with open_tables(clickhouse_url, COLUMNS) as tables:
        await migrate(tables)
        await tables.insert("attempts", [attempt_row(call) for call in calls])

        users = await tables.query(_USERS, {"account": account})
        tags = await tables.query(_TAGS, {"account": account})

    assert [tuple(row) for row in users] == [("alice", 2, Decimal(3)), ("bob", 1, Decimal(4))]
    assert [tuple(row) for row in tags] == [
        ("odd = name", "ä", 1, Decimal(1)),
        ("team", "ads", 1, Decimal(2)),
        ("team", "search", 2, Decimal(4)),
    ]
