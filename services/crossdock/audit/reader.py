"""Reads both sides of the audit: the views in ClickHouse, and the directory's topic, which shards write."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from crossdock.audit.books import (
    AttributedScope,
    AuditBooks,
    CreditOverdraft,
    Difference,
    DisputedUsage,
    Look,
    NumberRange,
    Overdraft,
    SpendingKey,
    Unbalanced,
)
from crossdock.audit.checks import NAMED
from crossdock.audit.credit_expiry import Expiries, ExpiringLot, LotTotals, WrongLapse
from crossdock.audit.directory import ShardView
from crossdock.kernel.drivers.clickhouse import Tables, open_tables
from crossdock.kernel.drivers.kafka import GroupConsumer, open_reader, places_of
from crossdock.kernel.drivers.kafka.tail import MAX_RECORDS, reached
from crossdock_schemas.topics import ACCOUNT_DIRECTORY

CLIENT = "crossdock.audit"
_CONTROL = """
SELECT account, first_number, last_number, changes, missing FROM crossdock.control_gaps ORDER BY account
"""
_JOURNAL = """
SELECT account, first_number, last_number, entries, missing FROM crossdock.journal_gaps ORDER BY account
"""
_UNBALANCED = """
SELECT account, number, off_by_usd, count() OVER () FROM crossdock.journal_unbalanced
ORDER BY account, number LIMIT {most:UInt32}
"""
_DIFFERENCES = """
SELECT account, project, key_id, provider, spent_usd, cost_usd FROM crossdock.journal_differences
ORDER BY account, project, key_id, provider
"""
_SPENT = "SELECT account, project, key_id, spent_usd FROM crossdock.spend_by_key"
_HELD = "SELECT account, project, key_id, held_usd FROM crossdock.held_by_key"
_USED = "SELECT account, scope, spent_usd + held_usd FROM crossdock.used_by_scope"
_CREDITS = "SELECT account, sum(credits_usd) FROM crossdock.credit_entries GROUP BY account"
_EXPIRIES = """
SELECT account, toUnixTimestamp64Milli(expires_at), credits_usd, lapsed_usd FROM crossdock.credit_expiry
"""
_LAPSES_WRONG = """
SELECT account, reason, amount_usd FROM crossdock.credit_lapses_wrong ORDER BY account, reason, amount_usd
"""
_BUDGETS = "SELECT uniqExact((account, scope, window)) FROM crossdock.budget_history"
_BOUND = "SELECT uniqExact((account, number)) FROM crossdock.budget_use"
_OVERDRAFTS = """
SELECT account, number, scope, window, limit_usd, used_usd, count() OVER () FROM crossdock.budget_overdrafts
ORDER BY account, number, scope, window LIMIT {most:UInt32}
"""
_OVERSPENT = _OVERDRAFTS.replace("budget_overdrafts", "budget_overspent")
_CREDIT_OVERDRAFTS = """
SELECT account, number, kind, credits_usd, used_usd, count() OVER () FROM crossdock.credit_overdrafts
ORDER BY account, number LIMIT {most:UInt32}
"""
_DISPUTED = "SELECT sum(calls), sum(booked_usd), sum(disputed_usd) FROM crossdock.disputed_usage"


class OpenedBooks:
    """Reads the views at each look, and of the topic what is new."""

    def __init__(
        self, tables: Tables, reader: GroupConsumer, places: Sequence[tuple[str, int]]
    ) -> None:
        self._tables = tables
        self._reader = reader
        self._places = places
        self._shards = ShardView()

    async def look(self) -> AuditBooks:
        await self._read_directory()
        unbalanced = await self._tables.query(_UNBALANCED, {"most": NAMED})
        overdrafts = await self._tables.query(_OVERDRAFTS, {"most": NAMED})
        overspent = await self._tables.query(_OVERSPENT, {"most": NAMED})
        credits = await self._tables.query(_CREDIT_OVERDRAFTS, {"most": NAMED})
        ((calls, *disputed),) = await self._tables.query(_DISPUTED)
        return AuditBooks(
            control=[NumberRange(*row) for row in await self._tables.query(_CONTROL)],
            journal=[NumberRange(*row) for row in await self._tables.query(_JOURNAL)],
            unbalanced=[Unbalanced(*row[:3]) for row in unbalanced],
            unbalanced_count=unbalanced[0][3] if unbalanced else 0,
            differences=[Difference(*row) for row in await self._tables.query(_DIFFERENCES)],
            spent={SpendingKey(*row[:3]): row[3] for row in await self._tables.query(_SPENT)},
            shard_spent=self._shards.spent(),
            held={SpendingKey(*row[:3]): row[3] for row in await self._tables.query(_HELD)},
            shard_held=self._shards.held(),
            attributed={
                AttributedScope(*row[:2]): row[2] for row in await self._tables.query(_USED)
            },
            shard_attributed=self._shards.attributed(),
            credits={row[0]: row[1] for row in await self._tables.query(_CREDITS)},
            shard_credits=self._shards.credits(),
            expiries=await self._expiries(),
            budgets=await self._count(_BUDGETS),
            budgeted_entries=await self._count(_BOUND),
            overdrafts=[Overdraft(*row[:6]) for row in overdrafts],
            overdraft_count=overdrafts[0][6] if overdrafts else 0,
            overspent=[Overdraft(*row[:6]) for row in overspent],
            overspent_count=overspent[0][6] if overspent else 0,
            credit_overdrafts=[CreditOverdraft(*row[:5]) for row in credits],
            credit_overdraft_count=credits[0][5] if credits else 0,
            disputed=DisputedUsage(int(calls), *disputed),
        )

    async def _expiries(self) -> Expiries:
        booked = await self._tables.query(_EXPIRIES)
        return Expiries(
            booked={ExpiringLot(*row[:2]): LotTotals(*row[2:]) for row in booked},
            shard=self._shards.lot_totals(),
            left=self._shards.lots_left(),
            wrong=[WrongLapse(*row) for row in await self._tables.query(_LAPSES_WRONG)],
        )

    async def _count(self, sql: str) -> int:
        ((count,),) = await self._tables.query(sql)
        return int(count)

    async def _read_directory(self) -> None:
        ends = await self._reader.end_offsets(self._places)
        while not await reached(self._reader, ends):
            self._shards.take(await self._reader.poll(max_records=MAX_RECORDS, timeout_ms=200))


@asynccontextmanager
async def open_books(
    url: str, servers: str, *, topic: str = ACCOUNT_DIRECTORY.name
) -> AsyncIterator[Look]:
    """Connect to ClickHouse and Kafka.

    Raises:
        TableError: if ClickHouse does not answer.
        LogError: if Kafka does not, or has no such topic.
    """
    async with open_tables(url) as tables:
        places = await places_of(servers, topic)
        async with open_reader(servers, places, client=CLIENT) as reader:
            yield OpenedBooks(tables, reader, places).look
