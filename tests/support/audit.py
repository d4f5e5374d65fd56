"""Holds the books of an installation against each other: files, the provider's ledger, ClickHouse, prices."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from openai.types import Batch

from crossdock.kernel.requests.catalogue import load_catalogue
from crossdock_schemas.accounts.journal import Entry
from crossdock_schemas.pricing.prices import price_tokens
from crossdock_schemas.tokens import Tokens
from crossdock_schemas.topics import ACCOUNT_JOURNAL
from support.dock import Dock, crossdock, repeated
from support.topics import read_all

Say = Callable[[str], None]


@dataclass
class Report:
    """The actions of a run, and the state of the books afterwards."""

    done: Counter[str] = field(default_factory=Counter)
    took_s: float = 0.0
    batches: int = 0
    lines: int = 0
    failed: int = 0
    singles: int = 0
    refused: int = 0
    holds: int = 0
    most_used: Decimal = Decimal(0)
    """The greatest part of a budget that was spent and held at any hold."""
    own: int = 0
    """Calls with a BYOK key."""
    calls: int = 0
    rows: int = 0
    unknown: int = 0
    repeats: int = 0
    flagged: int = 0
    in_flight: int = 0
    cost_usd: Decimal = Decimal(0)
    faults: list[str] = field(default_factory=list)

    def tell(self, say: Say) -> None:
        say(f"{dict(self.done)} in {self.took_s:.0f} s")
        say(f"accepted {self.lines} lines in {self.batches} batches, {self.failed} failed")
        say(f"single requests answered: {self.singles}; refused for want of money: {self.refused}")
        say(f"holds under budgets: {self.holds}, which used {self.most_used:%} of one at most")
        say(f"calls with a BYOK key: {self.own}, none of them with another's")
        say(f"calls: {self.calls} in the provider's ledger, {self.rows} rows")
        say(f"of unknown end: {self.unknown}; repeated: {self.repeats}, flagged: {self.flagged}")
        say(f"in flight in workers when they were killed or paused: {self.in_flight}")
        say(f"cost: {self.cost_usd:f} USD")
        for fault in self.faults:
            say(f"FAULT {fault}")
        say("no fault" if not self.faults else f"{len(self.faults)} faults")


def audit_books(dock: Dock, ended: Sequence[tuple[Batch, int]], report: Report) -> None:
    """Hold the files, the ledger, the rows and the prices against each other; `ended`: batches and their lengths."""
    dock.rest()
    report.batches = len(ended)
    for batch, lines in ended:
        _audit_lines(dock, batch, report, lines)
    rows = read_rows(dock)
    _audit_calls(dock.ledger(), rows, report)
    audit_repeats(rows, report)
    _audit_cost(dock, rows, report)
    _audit_journal(dock, report)
    report.faults += faults_of_entries(dock.addresses["KAFKA_BOOTSTRAP_SERVERS"])
    _audit_budgets(dock, report)


def _audit_lines(dock: Dock, batch: Batch, report: Report, lines: int) -> None:
    answered, failed = dock.output(batch)
    ids = [line["custom_id"] for line in answered + failed]
    report.lines += len(ids)
    report.failed += len(failed)
    wanted = {f"line-{n}" for n in range(lines)}
    if batch.status != "completed":
        report.faults.append(f"{batch.id} is {batch.status}")
    if set(ids) != wanted:
        report.faults.append(f"{batch.id}: {len(wanted - set(ids))} lines lost")
    if twice := repeated(ids):
        report.faults.append(f"{batch.id}: {len(twice)} lines twice, such as {twice[0]}")
    sql = f"SELECT outcome, count() FROM crossdock.requests FINAL WHERE batch_id = '{batch.id}' GROUP BY outcome"
    ends = {str(outcome): int(n) for outcome, n in dock.rows(sql)}
    if ends.get("completed", 0) != len(answered) or sum(ends.values()) != len(ids):
        report.faults.append(f"{batch.id}: ClickHouse has {ends}, the files have {len(ids)}")


@dataclass(frozen=True)
class Row:
    """A row of `attempts`."""

    request_id: str
    number: int
    execution_id: str
    outcome: str
    repeat_of: str
    may_be_paid: bool
    """It was answered, or its worker died before it reported the end."""
    model: str
    provider: str
    tokens: tuple[int, ...]
    cost_usd: Decimal
    started_ms: int


_ROWS = (
    "SELECT request_id, attempt * 100 + call, execution_id, outcome, repeat_of, outcome = 'ok' OR duplicate_suspected, "
    "model, provider, input_tokens, "
    "cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, toString(cost_usd), "
    "toUnixTimestamp64Milli(started_at) FROM crossdock.attempts FINAL"
)


def read_rows(dock: Dock) -> list[Row]:
    def row(found: list[Any]) -> Row:
        request_id, number, execution_id, outcome, repeat_of, may_be_paid = found[:6]
        model, provider, *counts, cost_usd, started_ms = found[6:]
        return Row(
            request_id,
            int(number),
            execution_id,
            outcome,
            repeat_of,
            bool(int(may_be_paid)),
            model,
            provider,
            tuple(map(int, counts)),
            Decimal(cost_usd),
            int(started_ms),
        )

    return [row(found) for found in dock.rows(_ROWS)]


def _audit_calls(ledger: Iterable[dict[str, Any]], rows: Sequence[Row], report: Report) -> None:
    """Each call that the provider saw is one row; a row without a call is one of unknown end, or never connected."""
    made = Counter((str(e["request_id"]), int(e["attempt"])) for e in ledger)
    booked = Counter((row.request_id, row.number) for row in rows)
    supposed = Counter(
        (row.request_id, row.number) for row in rows if row.outcome in {"unknown", "not_connected"}
    )
    report.calls, report.rows = made.total(), booked.total()
    report.unknown = sum(row.outcome == "unknown" for row in rows)
    if missing := made - booked:
        report.faults.append(f"{missing.total()} calls without a row: {next(iter(missing))}")
    if invented := booked - made - supposed:
        report.faults.append(f"{invented.total()} rows without a call: {next(iter(invented))}")
    if twice := repeated(row.execution_id for row in rows):
        report.faults.append(f"{len(twice)} executions with two rows: {twice[0]}")


def audit_repeats(rows: Sequence[Row], report: Report) -> None:
    """A call after one that was answered, or may have been, is a repeat: it must name the call that it repeats."""
    by_request: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_request[row.request_id].append(row)
    for request_id, calls in by_request.items():
        calls.sort(key=lambda row: (row.started_ms, row.number))
        paid = 0
        for row in calls:
            if paid:
                report.repeats += 1
                report.flagged += bool(row.repeat_of)
                if not row.repeat_of:
                    report.faults.append(f"{request_id}: call {row.number} repeats, unflagged")
            paid += row.may_be_paid


def _audit_cost(dock: Dock, rows: Sequence[Row], report: Report) -> None:
    offers = {
        (provider.name, offer.model): offer.prices
        for provider in load_catalogue(dock.data.path / "catalogue.json").providers
        for offer in provider.models
    }
    for row in rows:
        tokens = Tokens(**dict(zip(Tokens.model_fields, row.tokens, strict=True)))
        cost = price_tokens(tokens, offers[row.provider, row.model], succeeded=row.may_be_paid)
        report.cost_usd += row.cost_usd
        if cost.total != row.cost_usd:
            report.faults.append(f"{row.execution_id}: {row.cost_usd} USD, not {cost.total}")


def _audit_budgets(dock: Dock, report: Report) -> None:
    """Replay the journal: what was held under a budget, and what had been spent, never was more than the budget."""
    sql = "SELECT count(), toString(max(used_usd / limit_usd)) FROM crossdock.budget_use"
    ((holds, most),) = dock.rows(sql)
    report.holds, report.most_used = int(holds), Decimal(most)
    if report.most_used > 1:
        report.faults.append(f"{report.most_used} of a budget were used")


def audit_own(dock: Dock, provider: str, report: Report, *, since_ms: int) -> None:
    """A provider that takes a BYOK key only sees that key alone; no other sees it, and its calls are booked apart."""
    sql = (
        f"SELECT countIf(is_byok), countIf(is_byok != (provider = '{provider}')), uniqExactIf(credential_id, is_byok), "
        "countIf(is_byok AND outcome = 'ok'), toString(sumIf(cost_usd, is_byok)) FROM crossdock.attempts FINAL "
        f"WHERE toUnixTimestamp64Milli(started_at) >= {since_ms}"
    )
    ((own, misled, keys, good, cost),) = dock.rows(sql)
    report.own = int(own)
    booked = "SELECT toString(sum(amount_usd)) FROM crossdock.journal FINAL WHERE is_byok AND ledger = 'spend'"
    ((spent,),) = dock.rows(booked)
    if int(misled) or int(keys) != 1 or not int(good):
        report.faults.append(
            f"BYOK key: {own} calls, {good} answered, {misled} misled, {keys} keys"
        )
    if Decimal(spent) != Decimal(cost):
        report.faults.append(f"BYOK key: {spent} USD in the journal, {cost} USD in the calls")


def faults_of_entries(servers: str) -> list[str]:
    """Report entries that have one number but are not the same: ClickHouse keeps the later one only."""
    entries: dict[tuple[str, int], bytes] = {}
    twice = set()
    for record in asyncio.run(read_all(servers, ACCOUNT_JOURNAL.name)):
        value = record.value or b""
        entry = Entry.from_json(value)
        number = (entry.account, entry.number)
        if entries.setdefault(number, value) != value:
            twice.add(number)
    return [f"journal: two different entries {number} of {of}" for of, number in sorted(twice)]


def _audit_journal(dock: Dock, report: Report) -> None:
    """Ask the installation's own proof, and hold its journal against what we added up ourselves."""
    proof = crossdock("audit", "--data-dir", str(dock.data.path))
    if proof.returncode != 0:
        report.faults.append(f"crossdock audit: {proof.stdout} {proof.stderr}")
    ((spent,),) = dock.rows("SELECT toString(sum(spent_usd)) FROM crossdock.spend_by_key")
    if Decimal(spent) != report.cost_usd:
        report.faults.append(f"{spent} USD in the journal, {report.cost_usd:f} USD in the calls")
