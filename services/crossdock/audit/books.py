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
    """A hold that exceeded the headroom of a budget."""

    account: str
    number: int
    scope: str
    window: str
    limit_usd: Decimal
    used_usd: Decimal


@dataclass
class AuditBooks:
    """All that is compared, as of one time. `unbalanced` and `overdrafts` may be the first of their counts.

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


Look = Callable[[], Awaitable[AuditBooks]]
OpenBooks = Callable[[str, str], AbstractAsyncContextManager[Look]]
"""Opens the books, from the addresses of ClickHouse and Kafka."""
