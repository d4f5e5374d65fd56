"""The books as `crossdock audit` reads them, from a real ClickHouse and a real Kafka."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from crossdock.accounts.core import AccountsCore
from crossdock.audit.books import (
    AttributedScope,
    AuditBooks,
    CreditOverdraft,
    Overdraft,
    SpendingKey,
)
from crossdock.audit.checks import Check, check_books
from crossdock.audit.credit_expiry import Expiries, ExpiringLot, LotTotals
from crossdock.audit.reader import open_books
from crossdock.kernel.drivers.clickhouse import Tables, migrate, open_tables
from crossdock.kernel.drivers.kafka import open_producer
from crossdock.kernel.process.errors import LogError
from crossdock.kernel.process.record import Outgoing
from crossdock.metering.rows import COLUMNS, attempt_row, change_row, posting_rows
from crossdock_schemas.accounts.control import Credited
from crossdock_schemas.accounts.credit import CreditKind
from crossdock_schemas.accounts.journal import Entry, EntryKind, Ledger, MarkSpend
from crossdock_schemas.ids import AccountId, KeyId, ProjectId
from crossdock_schemas.pricing.prices import Cost
from crossdock_schemas.tokens import Tokens
from crossdock_schemas.topics import ACCOUNT_DIRECTORY, ACCOUNT_JOURNAL
from support.builders import (
    NOW_MS,
    OWNER,
    make_change,
    make_credit,
    make_entry,
    make_hold,
    make_posting,
    make_spend,
    make_usage,
)
from support.engines import RunningKafka
from support.topics import fresh, make_topic
from unit.accounts.builders import common, make_founded

PARTITIONS = 3


async def tell(
    servers: str, topic: str, account: AccountId, total_usd: str, **changes: object
) -> None:
    """Publish what a key spent, and an entry of the directory that is something else."""
    spend = make_spend(total_usd, account=account, **changes)
    async with open_producer(servers, client="test") as producer:
        await producer.send(
            [
                Outgoing(topic, b"key_local", b"not a Spend", []),
                Outgoing(topic, b"spend_key_local", spend.to_json(), []),
            ]
        )


async def book(tables: Tables, account: AccountId, usd: str) -> None:
    usage = make_usage(account=account, cost=Cost(output=Decimal(usd)))
    await tables.insert("attempts", [attempt_row(usage)])
    await tables.insert("journal", posting_rows(make_entry(1, usd, account=account)))


def of(account: AccountId, books: AuditBooks) -> list[Check]:
    """Check the books of `account` alone: the engine is shared."""
    return check_books(
        AuditBooks(
            journal=[row for row in books.journal if row.account == account],
            unbalanced=[row for row in books.unbalanced if row.account == account],
            differences=[row for row in books.differences if row.account == account],
            spent={o: usd for o, usd in books.spent.items() if o.account == account},
            shard_spent=books.shard_spent,
            held={o: usd for o, usd in books.held.items() if o.account == account},
            shard_held=books.shard_held,
            attributed={c: usd for c, usd in books.attributed.items() if c.account == account},
            shard_attributed=books.shard_attributed,
            credits={a: usd for a, usd in books.credits.items() if a == account},
            shard_credits=books.shard_credits,
            expiries=Expiries(
                booked={
                    x: sums for x, sums in books.expiries.booked.items() if x.account == account
                },
                shard=books.expiries.shard,
                left=books.expiries.left,
                wrong=[row for row in books.expiries.wrong if row.account == account],
            ),
            overdrafts=[row for row in books.overdrafts if row.account == account],
            overspent=[row for row in books.overspent if row.account == account],
            credit_overdrafts=[row for row in books.credit_overdrafts if row.account == account],
            disputed=books.disputed,
        )
    )


async def test_books_agree_once_the_newest_word_of_the_shard_is_there(
    kafka: RunningKafka, clickhouse_url: str
) -> None:
    servers = kafka.bootstrap_servers
    account = AccountId(fresh("org"))
    owner = SpendingKey(account, OWNER["project"], OWNER["key_id"])
    topic = await make_topic(servers, "directory", partitions=PARTITIONS, compact=True)
    await tell(servers, topic, account, "0.000000000001")
    async with open_tables(clickhouse_url, COLUMNS) as tables:
        await migrate(tables)
        await book(tables, account, "0.000000000002")
        async with open_books(clickhouse_url, servers, topic=topic) as look:
            early = await look()
            await tell(servers, topic, account, "0.000000000002")
            late = await look()

    assert early.shard_spent == {owner: Decimal("0.000000000001")}
    assert [check.name for check in of(account, early) if not check.is_ok] == [
        "journal matches the shards"
    ]
    assert [check.is_ok for check in of(account, late)] == [True] * 13


async def test_unbalanced_entries_are_counted_though_few_are_named(
    kafka: RunningKafka, clickhouse_url: str
) -> None:
    servers = kafka.bootstrap_servers
    account = AccountId(fresh("org"))
    topic = await make_topic(servers, "directory", compact=True)
    async with open_tables(clickhouse_url, COLUMNS) as tables:
        await migrate(tables)
        for number in range(1, 26):
            half = make_entry(number, account=account, postings=(make_posting(),))
            await tables.insert("journal", posting_rows(half))
        async with open_books(clickhouse_url, servers, topic=topic) as look:
            books = await look()

    assert books.unbalanced_count >= 25
    assert len(books.unbalanced) == 20


async def test_holds_and_budgets_are_read_with_the_rest(
    kafka: RunningKafka, clickhouse_url: str
) -> None:
    servers = kafka.bootstrap_servers
    account = AccountId(fresh("org"))
    owner = SpendingKey(account, OWNER["project"], OWNER["key_id"])
    topic = await make_topic(servers, "directory", compact=True)
    await tell(servers, topic, account, "0", held_usd=Decimal("0.5"))
    limit = make_change(
        1,
        account=account,
        action="set_budget",
        target=f"budget_total_{account}",
        after={"limit_usd": '"0.4"'},
    )
    hold = make_hold(1, "0.5", account=account).model_copy(update={"change": 1})
    async with open_tables(clickhouse_url, COLUMNS) as tables:
        await migrate(tables)
        await tables.insert("control_log", [change_row(limit)])
        await tables.insert("journal", posting_rows(hold))
        async with open_books(clickhouse_url, servers, topic=topic) as look:
            books = await look()

    assert books.held[owner] == books.shard_held[owner] == Decimal("0.5")
    assert books.budgets >= 1
    assert books.budgeted_entries >= 1
    assert books.overdraft_count >= 1
    overdraft = Overdraft(account, 1, account, "total", Decimal("0.4"), Decimal("0.5"))
    assert overdraft in books.overdrafts


async def test_what_was_spent_is_read_with_the_rest(
    kafka: RunningKafka, clickhouse_url: str
) -> None:
    """More than a budget, and more than the credits; and what a provider reported in vain."""
    servers = kafka.bootstrap_servers
    account = AccountId(fresh("org"))
    topic = await make_topic(servers, "directory", compact=True)
    target = f"budget_total_{account}"
    changes = [
        make_change(1, account=account, action="set_budget", target=target, after={"limit_usd": '"0.4"'}),
        make_change(2, account=account, action="set_prepayment", target=account, after={"prepaid_from_usd": '"0"'}),
    ]  # fmt: skip
    lie = make_usage(account=account, disputed_usd=Decimal(11), reported=Tokens(input=10**12))
    spent = make_entry(1, "0.5", account=account).model_copy(update={"change": 2})
    async with open_tables(clickhouse_url, COLUMNS) as tables:
        await migrate(tables)
        await tables.insert("control_log", [change_row(change) for change in changes])
        await tables.insert("journal", posting_rows(spent))
        async with open_books(clickhouse_url, servers, topic=topic) as look:
            before = await look()
            await tables.insert("attempts", [attempt_row(lie)])
            books = await look()

    assert (
        Overdraft(account, 1, account, "total", Decimal("0.4"), Decimal("0.5")) in books.overspent
    )
    assert (
        CreditOverdraft(account, 1, "capture", Decimal(0), Decimal("0.5"))
        in books.credit_overdrafts
    )
    assert books.disputed.calls == before.disputed.calls + 1
    assert books.disputed.disputed_usd == before.disputed.disputed_usd + 11


async def test_what_counts_for_end_users_is_read_with_the_rest(
    kafka: RunningKafka, clickhouse_url: str
) -> None:
    servers = kafka.bootstrap_servers
    account = AccountId(fresh("org"))
    alice = AttributedScope(account, "user:alice")
    topic = await make_topic(servers, "directory", compact=True)
    hold = make_hold(1, "0.5", account=account, marks=("tag:team=search", alice.scope))
    told = MarkSpend(account=account, scope=alice.scope, at_ms=1, held_usd=Decimal("0.5"))
    async with open_tables(clickhouse_url, COLUMNS) as tables:
        await migrate(tables)
        await tables.insert("journal", posting_rows(hold))
        async with (
            open_producer(servers, client="test") as producer,
            open_books(clickhouse_url, servers, topic=topic) as look,
        ):
            key = f"marked_{alice.scope}@{account}".encode()
            await producer.send([Outgoing(topic, key, told.to_json(), [])])
            books = await look()

    assert books.attributed[alice] == books.shard_attributed[alice] == Decimal("0.5")
    wrong = [check for check in of(account, books) if check.name.startswith("end users")]
    assert [check.named for check in wrong] == [
        [f"{account} tag:team=search: journal 0.5 USD, shard nothing"]
    ]


async def test_credits_are_read_with_the_rest(kafka: RunningKafka, clickhouse_url: str) -> None:
    servers = kafka.bootstrap_servers
    account = AccountId(fresh("org"))
    topic = await make_topic(servers, "directory", compact=True)
    credit = make_credit("10", account=account)
    sides = ((Ledger.CREDITS, "10"), (Ledger.GRANTED, "-10"))
    nobody: dict[str, Any] = {"project": ProjectId(""), "key_id": KeyId(""), "provider": ""}
    postings = tuple(make_posting(usd, ledger, **nobody) for ledger, usd in sides)
    entry = make_entry(1, account=account, kind=EntryKind.GRANT, executions=0, postings=postings)
    async with open_tables(clickhouse_url, COLUMNS) as tables:
        await migrate(tables)
        await tables.insert("journal", posting_rows(entry))
        async with open_books(clickhouse_url, servers, topic=topic) as look:
            early = await look()
            async with open_producer(servers, client="test") as producer:
                value = credit.to_json()
                await producer.send([Outgoing(topic, credit.credit_id.encode(), value, [])])
            late = await look()

    wrong = [[check.name for check in of(account, b) if not check.is_ok] for b in (early, late)]
    assert wrong == [["credits match the shards"], []]
    assert late.credits[account] == late.shard_credits[account] == 10


async def test_credits_that_expire_are_held_against_the_shards_word(
    kafka: RunningKafka, clickhouse_url: str
) -> None:
    """The journal, the credits and the lots must say the same of each time."""
    servers = kafka.bootstrap_servers
    account = AccountId(fresh("org"))
    topic = await make_topic(servers, "directory", compact=True)
    core = AccountsCore()
    core.apply(make_founded(account), NOW_MS)
    grant = Credited(
        **common() | {"account": account}, kind=CreditKind.GRANT, amount_usd=10, reference="r",
        expires_at_ms=NOW_MS + 1000,
    )  # fmt: skip
    core.apply(grant, NOW_MS)
    core.ledger.show(NOW_MS)
    before = core.finish().outgoing
    core.ledger.expire(NOW_MS + 1000)
    core.ledger.show(NOW_MS + 1000)
    after = core.finish().outgoing

    async def arrive(records: Sequence[Outgoing], *, is_told: bool) -> None:
        entries = [
            Entry.from_json(r.value or b"") for r in records if r.topic == ACCOUNT_JOURNAL.name
        ]
        await tables.insert("journal", [row for entry in entries for row in posting_rows(entry)])
        shown = [r for r in records if r.topic == ACCOUNT_DIRECTORY.name and is_told]
        async with open_producer(servers, client="test") as producer:
            await producer.send([Outgoing(topic, r.key, r.value, []) for r in shown])

    wrong, booked = [], dict[ExpiringLot, LotTotals]()
    async with open_tables(clickhouse_url, COLUMNS) as tables:
        await migrate(tables)
        async with open_books(clickhouse_url, servers, topic=topic) as look:
            for records, is_told in ((before, True), (after, False), (after, True)):
                await arrive(records, is_told=is_told)
                books = await look()
                booked |= books.expiries.booked
                wrong.append([check.name for check in of(account, books) if not check.is_ok])

    assert wrong == [[], ["credits match the shards", "credits expire as they should"], []]
    assert booked[ExpiringLot(account, NOW_MS + 1000)] == LotTotals(Decimal(10), Decimal(10))


async def test_a_broker_without_the_directory_is_another_broker(
    kafka: RunningKafka, clickhouse_url: str
) -> None:
    with pytest.raises(LogError, match=r"cannot read topic 'nowhere.*UnknownTopicOrPartition"):
        async with open_books(clickhouse_url, kafka.bootstrap_servers, topic=fresh("nowhere")):
            pass
