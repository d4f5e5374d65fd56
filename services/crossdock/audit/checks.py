"""The proof of guarantee 3: every change and every cent is accounted for, once. Pure.

Each check compares two records that were written independently of each other. A lost, repeated or altered record
breaks at least one of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from crossdock.audit.books import AttributedScope, AuditBooks, NumberRange, Overdraft, SpendingKey
from crossdock.audit.credit_expiry import compare
from crossdock_schemas.money import usd_text

NAMED = 20
"""The number of differences of one check that are named; all are counted."""
NOTHING = Decimal(0)
Key = TypeVar("Key", SpendingKey, AttributedScope, str)
Figures = dict[str, int | Decimal]
"""Counts, and amounts in USD."""


@dataclass(frozen=True)
class Check:
    """One check's result: its figures, the number of differences, and the first of them."""

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


def check_books(books: AuditBooks) -> list[Check]:
    """Return every check. The first ones prove that a side is whole, the later ones that both sides agree."""
    return [
        _check_numbers("control log has no gap", "changes", books.control),
        _check_numbers("journal has no gap", "entries", books.journal),
        _check_balance(books),
        _check_calls(books),
        _check_amounts("journal matches the shards", "keys", books.spent, books.shard_spent),
        _check_amounts("holds match the shards", "keys", books.held, books.shard_held),
        _check_amounts(
            "end users and tags match the shards",
            "scopes",
            books.attributed,
            books.shard_attributed,
        ),
        _check_amounts(
            "credits match the shards",
            "organizations",
            books.credits,
            books.shard_credits,
            least=None,
        ),
        _check("credits expire as they should", *compare(books.expiries)),
        _check_budgets(books),
        _check_spending(books),
        _check_credits(books),
        _show_disputed(books),
    ]


def _check(name: str, figures: Figures, wrong: Sequence[str]) -> Check:
    return Check(name, figures, len(wrong), wrong[:NAMED])


def _check_numbers(name: str, things: str, rows: Sequence[NumberRange]) -> Check:
    """Each account's log begins with number 1 and has every number up to its last: no record of it is lost."""
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


def _check_balance(books: AuditBooks) -> Check:
    """The postings of each entry add up to 0: no entry creates or destroys money."""
    entries = sum(row.entries for row in books.journal)
    figures: Figures = {"entries": entries, "unbalanced": books.unbalanced_count}
    named = [
        f"{row.account} entry {row.number}: postings add up to {usd_text(row.off_by_usd)} USD"
        for row in books.unbalanced[:NAMED]
    ]
    return Check("entries add up to 0", figures, books.unbalanced_count, named)


def _check_calls(books: AuditBooks) -> Check:
    """For each key and provider, the journal's spending equals the cost of the calls, which workers record."""
    wrong = [
        f"{row.account} {row.project} {row.key_id} {row.provider}: "
        f"journal {usd_text(row.spent_usd)} USD, calls {usd_text(row.cost_usd)} USD"
        for row in books.differences
    ]
    spent = sum(books.spent.values(), NOTHING)
    return _check(
        "journal matches the cost of calls", {"journal_usd": spent, "differing": len(wrong)}, wrong
    )


def _check_amounts(
    name: str,
    things: str,
    journal: Mapping[Key, Decimal],
    shards: Mapping[Key, Decimal],
    *,
    least: Decimal | None = NOTHING,
) -> Check:
    """The journal's entries add up to the amount that the shard has in its state: no entry is booked twice or skipped.

    An amount below `least` is wrong too: a release was booked twice. Credits may be below 0, after a refund of what is
    already spent.
    """
    keys = sorted(journal.keys() | shards.keys())
    wrong = [
        f"{_text(key)}: journal {_amount(journal, key)}, shard {_amount(shards, key)}"
        for key in keys
        if (found := journal.get(key, NOTHING)) != shards.get(key, NOTHING)
        or (least is not None and found < least)
    ]
    figures: Figures = {
        things: len(keys),
        "journal_usd": sum(journal.values(), NOTHING),
        "shard_usd": sum(shards.values(), NOTHING),
        "differing": len(wrong),
    }
    return _check(name, figures, wrong)


def _text(key: str | tuple[str, ...]) -> str:
    return key if isinstance(key, str) else " ".join(key)


def _amount(amounts: Mapping[Key, Decimal], key: Key) -> str:
    return f"{usd_text(amounts[key])} USD" if key in amounts else "nothing"


def _check_budgets(books: AuditBooks) -> Check:
    """No hold took a budget above its limit, by a replay of journal and control log in ClickHouse."""
    figures: Figures = {
        "budgets": books.budgets,
        "entries": books.budgeted_entries,
        "overdrafts": books.overdraft_count,
    }
    named = _overdrafts(books.overdrafts)
    return Check("no budget was overdrawn", figures, books.overdraft_count, named)


def _check_spending(books: AuditBooks) -> Check:
    """No call spent more than was held for it where that took a budget above its limit, by the same replay."""
    figures: Figures = {"budgets": books.budgets, "overspent": books.overspent_count}
    named = _overdrafts(books.overspent)
    return Check("no budget was overspent", figures, books.overspent_count, named)


def _overdrafts(rows: Sequence[Overdraft]) -> Sequence[str]:
    return [
        f"{row.account} entry {row.number}: {usd_text(row.used_usd)} USD of the {row.window} budget of {row.scope}, "
        f"which is {usd_text(row.limit_usd)} USD"
        for row in rows[:NAMED]
    ]


def _check_credits(books: AuditBooks) -> Check:
    """No hold and no call used more than the prepaid credits, by a replay of the journal."""
    named = [
        f"{row.account} entry {row.number}: {row.kind} of {usd_text(row.used_usd)} USD in all, "
        f"of {usd_text(row.credits_usd)} USD of credits"
        for row in books.credit_overdrafts[:NAMED]
    ]
    figures: Figures = {"overdrafts": books.credit_overdraft_count}
    return Check("no credits were overspent", figures, books.credit_overdraft_count, named)


def _show_disputed(books: AuditBooks) -> Check:
    """Reports of providers that are not booked in full. They are shown, and always hold."""
    calls, booked, disputed = books.disputed
    figures: Figures = {"calls": calls, "booked_usd": booked, "disputed_usd": disputed}
    return Check("disputed usage is not booked", figures, 0, ())
