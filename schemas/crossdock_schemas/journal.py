"""The journal: what money did, in double entry. Nothing is ever changed in it; a correction is another entry."""

from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

from crossdock_schemas.ids import AccountId, KeyId, ProjectId
from crossdock_schemas.message import Message

_MONDAY = 3  # 1970-01-01 was a Thursday: three days after a Monday


class EntryKind(StrEnum):
    CAPTURE = "capture"
    """Calls cost money."""
    CORRECTION = "correction"
    """The end of a call that was booked at an estimate became known."""


class Ledger(StrEnum):
    """What a posting is about."""

    SPEND = "spend"
    """What a key spent: grows with each call."""
    PROVIDER = "provider"
    """What is owed to a provider: falls by the same amount."""


class Posting(Message):
    """One side of an entry."""

    ledger: Ledger
    project: ProjectId
    key_id: KeyId
    provider: str
    amount_usd: Decimal
    """Never 0; exact to 12 places."""


class Entry(Message):
    """Postings that add up to 0. Numbered per account without a gap, from 1."""

    account: AccountId
    number: int
    at_ms: int
    kind: EntryKind
    executions: int
    """Calls behind it."""
    postings: tuple[Posting, ...]


class Spend(Message):
    """What a key has spent, USD, as its account's shard knows it. Key in the directory: `spend_` and the key's id.

    Windows are UTC; a week begins on Monday. What is told is as of `at_ms`: a window that has ended since is 0.
    """

    account: AccountId
    project: ProjectId
    key_id: KeyId
    at_ms: int
    total_usd: Decimal = Decimal(0)
    day_usd: Decimal = Decimal(0)
    week_usd: Decimal = Decimal(0)
    month_usd: Decimal = Decimal(0)
    calls: int = 0
    """Calls behind it."""

    def as_of(self, now_ms: int) -> "Spend":
        """Return it as it is now: windows that ended since are 0."""
        then, now = _windows(self.at_ms), _windows(now_ms)
        if now_ms <= self.at_ms or then == now:
            return self
        names = ("day_usd", "week_usd", "month_usd")
        ended = {n: Decimal(0) for n, t, w in zip(names, then, now, strict=True) if t != w}
        return self.model_copy(update={**ended, "at_ms": now_ms})

    def plus(self, amount_usd: Decimal, calls: int, now_ms: int) -> "Spend":
        """Return it with `amount_usd` more, which counts in the windows of `now_ms`."""
        current = self.as_of(now_ms)
        return current.model_copy(
            update={
                "at_ms": max(now_ms, self.at_ms),
                "total_usd": current.total_usd + amount_usd,
                "day_usd": current.day_usd + amount_usd,
                "week_usd": current.week_usd + amount_usd,
                "month_usd": current.month_usd + amount_usd,
                "calls": current.calls + calls,
            }
        )


def _windows(ms: int) -> tuple[int, int, tuple[int, int]]:
    """Return which day, week and month `ms` lies in."""
    day = ms // 86_400_000
    date = datetime.fromtimestamp(ms / 1000, UTC)
    return day, (day + _MONDAY) // 7, (date.year, date.month)
