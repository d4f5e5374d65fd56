"""Kills, pauses and restarts processes of a real installation at random moments, then audits its books.

    python -m support.chaos --kills 200 --seed 7

The schedule is a function of the seed and the number of kills: a failing seed gives the same kills, pauses and
restarts again, at the same intervals. (What the machine does in between is not repeated.)
"""

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
from openai.types import Batch

from crossdock.kernel.catalogue import load_catalogue
from crossdock_schemas.prices import price_tokens
from crossdock_schemas.tokens import Tokens
from support.dock import MODELS, Dock, chat_lines, repeated, running_dock, until

STAGES = (
    "provider.0",
    "provider.1",
    "batches.0",
    "router.0",
    "router.1",
    "metering.0",
    "ingress.0",
    "clickhouse.0",
    "kafka",
)
PROVIDERS = ("sim-atlas", "sim-borealis", "sim-cumulus")
PAUSED_S = 12.0  # past the session's time-out of 10 s: what wakes up is a zombie
CAPACITY = 512  # lines in flight in a worker
SHARE_PAUSED = 0.04
SHARE_RESTARTED = 0.06
BATCH_LINES = 3000
OPEN_BATCHES = 2
Say = Callable[[str], None]


@dataclass(frozen=True)
class Event:
    """After `gap_s`, `victim` is killed (-9), paused (SIGSTOP, later SIGCONT) or restarted (SIGTERM)."""

    gap_s: float
    action: str
    victim: str


def make_schedule(kills: int, seed: int) -> list[Event]:
    """Return `kills` kills, with pauses and restarts strewn in."""
    chance = random.Random(f"crossdock-chaos-{seed}")
    events: list[Event] = []
    while sum(event.action == "kill" for event in events) < kills:
        drawn = chance.random()
        action = "kill"
        if drawn < SHARE_PAUSED:
            action = "pause"
        elif drawn < SHARE_PAUSED + SHARE_RESTARTED:
            action = "restart"
        victims = STAGES if action == "kill" else STAGES[:7]
        events.append(Event(chance.uniform(0.2, 1.6), action, chance.choice(victims)))
    return events


@dataclass
class Load:
    """Keeps a few batches and single requests under way until told to stop."""

    dock: Dock
    batches: list[str] = field(default_factory=list)
    answered: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def begin(self) -> None:
        for work in (self._submit, self._ask):
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            self._threads.append(thread)

    def end(self) -> None:
        self.stopping.set()
        for thread in self._threads:
            thread.join(120)

    def _submit(self) -> None:
        while not self.stopping.is_set():
            with suppress(openai.APIError):
                self._submit_one()
            time.sleep(0.5)

    def _submit_one(self) -> None:
        states = [self.dock.client.batches.retrieve(name).status for name in self.batches[-8:]]
        if sum(state in {"validating", "in_progress"} for state in states) < OPEN_BATCHES:
            self.batches.append(self.dock.submit(chat_lines(BATCH_LINES)))

    def _ask(self) -> None:
        client = self.dock.client.with_options(max_retries=0, timeout=30)
        while not self.stopping.is_set():
            with suppress(openai.APIError):
                client.chat.completions.create(
                    model=MODELS[self.answered % 3], messages=[{"role": "user", "content": "Hi"}]
                )
                self.answered += 1
            time.sleep(0.1)


@dataclass
class Report:
    """What was done, and what the books say afterwards."""

    done: Counter[str] = field(default_factory=Counter)
    took_s: float = 0.0
    batches: int = 0
    lines: int = 0
    failed: int = 0
    singles: int = 0
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
        say(f"single requests answered: {self.singles}")
        say(f"calls: {self.calls} in the provider's ledger, {self.rows} rows")
        say(f"of unknown end: {self.unknown}; repeated: {self.repeats}, flagged: {self.flagged}")
        say(f"in flight in workers when they were killed or paused: {self.in_flight}")
        say(f"cost: {self.cost_usd:f} USD")
        for fault in self.faults:
            say(f"FAULT {fault}")
        say("no fault" if not self.faults else f"{len(self.faults)} faults")


def wreak(dock: Dock, schedule: Sequence[Event], report: Report, say: Say) -> None:
    """Carry out the schedule."""
    waking: list[threading.Timer] = []
    for number, event in enumerate(schedule, start=1):
        time.sleep(event.gap_s)
        if not _hit(dock, event, report, waking):
            continue
        report.done[event.action] += 1
        if number % 20 == 0:
            say(f"{number} of {len(schedule)}: {dict(report.done)}")
    for timer in waking:
        timer.join()


def _hit(dock: Dock, event: Event, report: Report, waking: list[threading.Timer]) -> bool:
    """Hit a process; wait for it to be there first, for kills of the dead are no kills."""
    give_up = time.monotonic() + 30
    while not dock.is_alive(event.victim) and time.monotonic() < give_up:
        time.sleep(0.05)
    if event.victim.startswith("provider") and event.action != "restart":
        report.in_flight += _in_flight(dock, event.victim)
    if event.action == "pause":
        dock.send_signal(event.victim, signal.SIGSTOP)
        pid = dock.pids()[event.victim]
        timer = threading.Timer(PAUSED_S, dock.wake, (pid,))
        timer.start()
        waking.append(timer)
        return True
    if event.action == "restart":
        dock.stop_orderly(event.victim)
        return True
    return dock.kill(event.victim)


def _in_flight(dock: Dock, name: str) -> int:
    """Return what a worker has in flight, as it says itself a moment before; all that it may have if it does not."""
    with suppress(OSError):
        return int(dock.status(name).get("in_flight", 0))
    return CAPACITY


# the audit


def audit(dock: Dock, load: Load, report: Report) -> None:
    """Compare what was accepted with what came of it, the provider's ledger with the rows, the cost with the prices."""
    ended = [dock.wait(name, timeout_s=300) for name in load.batches]
    report.singles = load.answered
    audit_books(dock, ended, report, lines=BATCH_LINES)
    if report.repeats > report.in_flight:
        report.faults.append(f"{report.repeats} repeats, {report.in_flight} were in flight")


def audit_books(dock: Dock, ended: Sequence[Batch], report: Report, *, lines: int) -> None:
    """Hold the files, the ledger, the rows and the prices against each other; `lines` is a batch's length."""
    until(dock.is_at_rest, timeout_s=180, what="the dock at rest")
    time.sleep(1.5)  # the sink's last batch of rows is a second old at most
    report.batches = len(ended)
    for batch in ended:
        _audit_lines(dock, batch, report, lines)
    rows = read_rows(dock)
    _audit_calls(dock.ledger(), rows, report)
    _audit_repeats(rows, report)
    _audit_cost(dock, rows, report)


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
    told = {str(outcome): int(n) for outcome, n in dock.rows(sql)}
    if told.get("completed", 0) != len(answered) or sum(told.values()) != len(ids):
        report.faults.append(f"{batch.id}: ClickHouse says {told}, the files {len(ids)}")


@dataclass(frozen=True)
class Row:
    """A row of `attempts`."""

    request_id: str
    number: int
    execution_id: str
    outcome: str
    repeat_of: str
    may_be_paid: bool
    """It was answered, or its worker died before it told how it ended."""
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


def _audit_repeats(rows: Sequence[Row], report: Report) -> None:
    """A call after one that was answered, or may have been, is a repeat: it must say of which."""
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


def run(dock: Dock, *, kills: int, seed: int, say: Say) -> Report:
    """Load an installation of two providers and two routers, wreak havoc, audit."""
    report = Report()
    dock.reset_simulator()
    for provider in PROVIDERS:
        dock.behave(provider, latency={"ms": 400, "kind": "uniform", "spread": 300})
    before = Counter(row.execution_id for row in read_rows(dock))
    if before:
        raise RuntimeError("the audit wants an installation that nobody used before")
    load = Load(dock)
    started = time.monotonic()
    load.begin()
    until(lambda: bool(load.batches), what="the first batch")
    wreak(dock, make_schedule(kills, seed), report, say)
    load.end()
    audit(dock, load, report)
    report.took_s = time.monotonic() - started
    return report


def main() -> int:
    parser = argparse.ArgumentParser(prog="infra/scripts/chaos", description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=40, help="how many processes to kill (40)")
    parser.add_argument("--seed", type=int, default=1, help="of the schedule (1)")
    parser.add_argument("--keep", action="store_true", help="keep the installation's folder")
    wish = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="crossdock-chaos-"))
    print(f"seed {wish.seed}, {wish.kills} kills; logs in {folder / 'logs'}", flush=True)
    with running_dock(folder, "--scale", "provider=2", "--scale", "router=2") as dock:
        report = run(dock, kills=wish.kills, seed=wish.seed, say=lambda t: print(t, flush=True))
        report.tell(print)
    if not report.faults and not wish.keep:
        import shutil  # noqa: PLC0415  # only here

        shutil.rmtree(folder, ignore_errors=True)
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
