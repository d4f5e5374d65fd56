"""Do the books agree? Pure: what ClickHouse's views and the shards' directory say, held against each other."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from crossdock.audit.credit_expiry import Expiries, compare
from crossdock.kernel.process.errors import UndecodableError
from crossdock.kernel.process.record import Record
from crossdock_schemas.accounts.credit import Credit, Lots
from crossdock_schemas.accounts.directory import kind_of
from crossdock_schemas.accounts.journal import MarkSpend, Spend
from crossdock_schemas.money import usd_text

NAMED = 20
"""So many of a check's differences are named; all are counted."""
NOTHING = Decimal(0)
Told = TypeVar("Told", Spend, MarkSpend, Credit, Lots)
Figures = dict[str, int | Decimal]
"""Counts, and amounts in USD."""


class Owner(NamedTuple):
    account: str
    project: str
    key_id: str


class Counted(NamedTuple):
    """An end user or a tag that has, or had, a budget."""

    account: str
    scope: str


Key = TypeVar("Key", Owner, Counted, str)
Whose = TypeVar("Whose", Owner, Counted)


class Numbers(NamedTuple):
    """Whether an account's log is whole: a row of `control_gaps` or `journal_gaps`."""

    account: str
    first: int
    last: int
    entries: int
    missing: int


class Unbalanced(NamedTuple):
    """An entry whose postings do not add up to 0."""

    account: str
    number: int
    off_by_usd: Decimal


class Difference(NamedTuple):
    """The journal and the calls do not agree on a key and a provider."""

    account: str
    project: str
    key_id: str
    provider: str
    spent_usd: Decimal
    cost_usd: Decimal


class Overdraft(NamedTuple):
    """A hold that a budget had no room for."""

    account: str
    number: int
    scope: str
    window: str
    limit_usd: Decimal
    used_usd: Decimal


@dataclass
class Books:
    """What was found at one time. `unbalanced` and `overdrafts` may be the first of their counts."""

    control: Sequence[Numbers] = ()
    journal: Sequence[Numbers] = ()
    unbalanced: Sequence[Unbalanced] = ()
    unbalanced_count: int = 0
    differences: Sequence[Difference] = ()
    spent: Mapping[Owner, Decimal] = field(default_factory=dict)
    """By the journal, in ClickHouse."""
    told: Mapping[Owner, Decimal] = field(default_factory=dict)
    """By the shards, in the directory."""
    held: Mapping[Owner, Decimal] = field(default_factory=dict)
    """By the journal, in ClickHouse."""
    told_held: Mapping[Owner, Decimal] = field(default_factory=dict)
    """By the shards, in the directory."""
    used: Mapping[Counted, Decimal] = field(default_factory=dict)
    """Spent and held, by the journal, in ClickHouse."""
    told_used: Mapping[Counted, Decimal] = field(default_factory=dict)
    """By the shards, in the directory."""
    credits: Mapping[str, Decimal] = field(default_factory=dict)
    """By the journal, in ClickHouse, of each organization."""
    told_credits: Mapping[str, Decimal] = field(default_factory=dict)
    """By the shards, in the directory."""
    expiries: Expiries = field(default_factory=Expiries)
    budgets: int = 0
    bound: int = 0
    """Entries that a budget had to have room for."""
    overdrafts: Sequence[Overdraft] = ()
    overdraft_count: int = 0


Look = Callable[[], Awaitable[Books]]
OpenBooks = Callable[[str, str], AbstractAsyncContextManager[Look]]
"""Opens the books, from ClickHouse's address and Kafka's."""


@dataclass(frozen=True)
class Check:
    """What must hold, and what does not: `wrong` in all, of which some are named."""

    name: str
    figures: Figures
    wrong: int
    named: Sequence[str]

    @property
    def is_ok(self) -> bool:
        return self.wrong == 0

    def as_json(self) -> dict[str, Any]:
        figures = {
            name: usd_text(value) if isinstance(value, Decimal) else value
            for name, value in self.figures.items()
        }
        wrong = {"wrong": self.wrong, "differences": list(self.named)}
        return {"check": self.name, "ok": self.is_ok, "figures": figures} | wrong


def take(known: dict[str, Told], kind: type[Told], records: Iterable[Record]) -> None:
    """Put the entities of one kind among `records` of the directory into `known`, by key: the newest counts.

    Raises:
        UndecodableError: if one of them cannot be read.
    """
    for record in records:
        key = (record.key or b"").decode(errors="replace")
        if kind_of(key) is kind:
            known[key] = _decode(record, kind)


def _decode(record: Record, kind: type[Told]) -> Told:
    try:
        return kind.from_json(record.value or b"")
    except ValidationError as error:
        place = (record.topic, record.partition, record.offset)
        raise UndecodableError(*place, str(error)[:500]) from error


def totals(spends: Iterable[Spend]) -> dict[Owner, Decimal]:
    return {Owner(s.account, s.project, s.key_id): s.total_usd for s in spends}


def holdings(spends: Iterable[Spend]) -> dict[Owner, Decimal]:
    return {Owner(s.account, s.project, s.key_id): s.held_usd for s in spends}


def usages(spends: Iterable[MarkSpend]) -> dict[Counted, Decimal]:
    return {Counted(s.account, s.scope): s.total_usd + s.held_usd for s in spends}


def credited(credits: Iterable[Credit]) -> dict[str, Decimal]:
    """Return the sum of each organization's credits."""
    sums: dict[str, Decimal] = {}
    for credit in credits:
        sums[credit.account] = sums.get(credit.account, NOTHING) + credit.amount_usd
    return sums


def check_books(books: Books) -> list[Check]:
    """Return every check, in the order in which one would look at them."""
    return [
        _check_numbers("control log has no gap", "changes", books.control),
        _check_numbers("journal has no gap", "entries", books.journal),
        _check_balance(books),
        _check_calls(books),
        _check_shards("journal is what the shards say", books.spent, books.told),
        _check_shards("holds are what the shards say", books.held, books.told_held),
        _check_shards(
            "end users and tags are what the shards say", books.used, books.told_used, "scopes"
        ),
        _check_credits(books),
        _check("credits expire as they should", *compare(books.expiries)),
        _check_budgets(books),
    ]


def _check(name: str, figures: Figures, wrong: Sequence[str]) -> Check:
    return Check(name, figures, len(wrong), wrong[:NAMED])


def _check_numbers(name: str, things: str, rows: Sequence[Numbers]) -> Check:
    figures: Figures = {
        "accounts": len(rows),
        things: sum(row.entries for row in rows),
        "missing": sum(row.missing for row in rows),
    }
    wrong = [
        f"{row.account}: {row.missing} missing of 1 to {row.last}, the first one there is {row.first}"
        for row in rows
        if row.missing or row.first != 1
    ]
    return _check(name, figures, wrong)


def _check_balance(books: Books) -> Check:
    entries = sum(row.entries for row in books.journal)
    figures: Figures = {"entries": entries, "unbalanced": books.unbalanced_count}
    named = [
        f"{row.account} entry {row.number}: postings add up to {usd_text(row.off_by_usd)} USD"
        for row in books.unbalanced[:NAMED]
    ]
    return Check("entries add up to 0", figures, books.unbalanced_count, named)


def _check_calls(books: Books) -> Check:
    spent = sum(books.spent.values(), NOTHING)
    wrong = [
        f"{row.account} {row.project} {row.key_id} {row.provider}: "
        f"journal {usd_text(row.spent_usd)} USD, calls {usd_text(row.cost_usd)} USD"
        for row in books.differences
    ]
    figures: Figures = {"journal_usd": spent, "differing": len(wrong)}
    return _check("journal is what the calls cost", figures, wrong)


def _check_shards(
    name: str, journal: Mapping[Whose, Decimal], shards: Mapping[Whose, Decimal], of: str = "keys"
) -> Check:
    """Both say the same of each of them, and nothing below 0: that was given back twice."""
    owners = sorted(journal.keys() | shards.keys())
    wrong = [
        f"{' '.join(owner)}: journal {_told(journal, owner)}, shard {_told(shards, owner)}"
        for owner in owners
        if not NOTHING <= journal.get(owner, NOTHING) == shards.get(owner, NOTHING)
    ]
    figures: Figures = {
        of: len(owners),
        "journal_usd": sum(journal.values(), NOTHING),
        "shard_usd": sum(shards.values(), NOTHING),
        "differing": len(wrong),
    }
    return _check(name, figures, wrong)


def _check_credits(books: Books) -> Check:
    """Both say the same of every organization; below 0 is what was taken away after it was spent."""
    journal, shards = books.credits, books.told_credits
    accounts = sorted(journal.keys() | shards.keys())
    wrong = [
        f"{account}: journal {_told(journal, account)}, shard {_told(shards, account)}"
        for account in accounts
        if journal.get(account, NOTHING) != shards.get(account, NOTHING)
    ]
    figures: Figures = {
        "organizations": len(accounts),
        "journal_usd": sum(journal.values(), NOTHING),
        "shard_usd": sum(shards.values(), NOTHING),
        "differing": len(wrong),
    }
    return _check("credits are what the shards say", figures, wrong)


def _check_budgets(books: Books) -> Check:
    figures: Figures = {
        "budgets": books.budgets,
        "entries": books.bound,
        "overdrafts": books.overdraft_count,
    }
    named = [
        f"{row.account} entry {row.number}: {usd_text(row.used_usd)} USD of the {row.window} budget of {row.scope}, "
        f"which is {usd_text(row.limit_usd)} USD"
        for row in books.overdrafts[:NAMED]
    ]
    return Check("no budget was overdrawn", figures, books.overdraft_count, named)


def _told(amounts: Mapping[Key, Decimal], whose: Key) -> str:
    return f"{usd_text(amounts[whose])} USD" if whose in amounts else "nothing"
