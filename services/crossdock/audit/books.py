"""The two sides of the audit: ClickHouse's journal and calls, and the shards' records of the directory."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from crossdock.audit.credit_expiry import Expiries


class SpendingKey(NamedTuple):
    """An API key, with the project and the organization that its calls are booked under."""

    account: str
    project: str
    key_id: str


class AttributedScope(NamedTuple):
    """An end user or a tag that has, or had, a budget."""

    account: str
    scope: str


class NumberRange(NamedTuple):
    """The numbers of an account's log: a row of `control_gaps` or `journal_gaps`."""

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
    """A key and a provider for which journal and calls differ."""

    account: str
    project: str
    key_id: str
    provider: str
    spent_usd: Decimal
    cost_usd: Decimal


class Overdraft(NamedTuple):
    """An entry that exceeded the headroom of a budget: a hold, or spending beyond a hold."""

    account: str
    number: int
    scope: str
    window: str
    limit_usd: Decimal
    used_usd: Decimal


class CreditOverdraft(NamedTuple):
    """An entry that used more than the prepaid credits."""

    account: str
    number: int
    kind: str
    credits_usd: Decimal
    used_usd: Decimal


class DisputedUsage(NamedTuple):
    """Calls with more tokens reported than they may have used."""

    calls: int = 0
    booked_usd: Decimal = Decimal(0)
    disputed_usd: Decimal = Decimal(0)


@dataclass
class AuditBooks:
    """All that is compared, as of one time. Rows with a count beside them may be the first of that count.

    Amounts are by the journal in ClickHouse; those that begin with `shard_` are by the directory.
    """

    control: Sequence[NumberRange] = ()
    journal: Sequence[NumberRange] = ()
    unbalanced: Sequence[Unbalanced] = ()
    unbalanced_count: int = 0
    differences: Sequence[Difference] = ()
    spent: Mapping[SpendingKey, Decimal] = field(default_factory=dict)
    shard_spent: Mapping[SpendingKey, Decimal] = field(default_factory=dict)
    held: Mapping[SpendingKey, Decimal] = field(default_factory=dict)
    shard_held: Mapping[SpendingKey, Decimal] = field(default_factory=dict)
    attributed: Mapping[AttributedScope, Decimal] = field(default_factory=dict)
    """Spent and held."""
    shard_attributed: Mapping[AttributedScope, Decimal] = field(default_factory=dict)
    credits: Mapping[str, Decimal] = field(default_factory=dict)
    """By organization."""
    shard_credits: Mapping[str, Decimal] = field(default_factory=dict)
    expiries: Expiries = field(default_factory=Expiries)
    budgets: int = 0
    budgeted_entries: int = 0
    """Entries that a budget had to have headroom for."""
    overdrafts: Sequence[Overdraft] = ()
    overdraft_count: int = 0
    overspent: Sequence[Overdraft] = ()
    """Spending beyond holds that took a budget above its limit."""
    overspent_count: int = 0
    credit_overdrafts: Sequence[CreditOverdraft] = ()
    credit_overdraft_count: int = 0
    disputed: DisputedUsage = field(default_factory=DisputedUsage)


Look = Callable[[], Awaitable[AuditBooks]]
OpenBooks = Callable[[str, str], AbstractAsyncContextManager[Look]]
"""Opens the books, from the addresses of ClickHouse and Kafka."""
