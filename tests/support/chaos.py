"""Kills, pauses and restarts processes of a real installation at random moments, then audits its books.

    python -m support.chaos --kills 200 --seed 7

The schedule is a function of the seed and the number of kills: a failing seed gives the same kills, pauses and
restarts again, at the same intervals. (What the machine does in between is not repeated.)
"""

import argparse
import random
import secrets
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import openai

from support.audit import Report, Say, audit_books, audit_own, audit_repeats, read_rows
from support.dock import MODELS, Dock, Line, chat_lines, running_dock, until

STAGES = (
    "provider.0",
    "provider.1",
    "batches.0",
    "router.0",
    "router.1",
    "metering.0",
    "ingress.0",
    "accounts.0",
    "clickhouse.0",
    "kafka",
)
PROVIDERS = ("sim-atlas", "sim-borealis", "sim-cumulus")
CAPACITY = 640  # lines in flight in a worker
SHARE_PAUSED = 0.04
SHARE_RESTARTED = 0.06
OPEN_BATCHES = 2
TIGHT_LINES = 200
TIGHT_USD = Decimal("0.02")
"""The budget of a key, enough for some dozen of its lines; it grows by this amount every RAISE_S."""
TIGHT_TOKENS = 64
TIGHT_CALLERS = 8
RAISE_S = 3.0
OWN_LINES = 150
OWN = f"sk-own-{secrets.token_hex(16)}"
OWN_AT = "sim-cumulus"
"""This provider takes the BYOK key and no other; policies keep all other keys away from it."""
ENOUGH_USD = Decimal(1000)


@dataclass(frozen=True)
class Havoc:
    """How much is done to an installation."""

    kills: int
    seed: int
    paused_s: float = 12.0
    """Longer than a session: what wakes up is a zombie."""
    batch_lines: int = 3000


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
        victims = STAGES if action == "kill" else STAGES[:8]
        events.append(Event(chance.uniform(0.2, 1.6), action, chance.choice(victims)))
    return events


@dataclass
class Load:
    """Keeps a few batches and single requests under way until it is stopped."""

    dock: Dock
    batch_lines: int
    batches: list[str] = field(default_factory=list)
    tight: list[str] = field(default_factory=list)
    """Batches of a key whose budget is short."""
    answered: int = 0
    refused: int = 0
    """Single requests of that key that there was no money for."""
    key: tuple[str, str] = ("", "")
    own: list[str] = field(default_factory=list)
    """Batches of a key that calls with a BYOK key only."""
    own_key: tuple[str, str] = ("", "")
    limit_usd: Decimal = TIGHT_USD
    stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def begin(self) -> None:
        self.key = self.dock.make_key("tight", limit=str(self.limit_usd))
        self._hand_in()
        tight = [self._ask_tight] * TIGHT_CALLERS
        submitting = (self._submit, self._submit_tight, self._submit_own)
        for work in (*submitting, self._ask, self._raise, *tight):
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            self._threads.append(thread)

    def _hand_in(self) -> None:
        """Create a BYOK key for one API key, which may use its provider alone; the others may not."""
        self.own_key = self.dock.make_key("own")
        hashed = sha256(self.own_key[1].encode()).hexdigest()
        body = {"provider": OWN_AT, "key": OWN, "allowed_api_key_hashes": [hashed]}
        self.dock.manage("POST", "byok", body)
        self.dock.manage("PUT", f"policies/{self.own_key[0]}", {"allowed_providers": [OWN_AT]})
        for key in ("key_local", self.key[0]):
            self.dock.manage("PUT", f"policies/{key}", {"ignored_providers": [OWN_AT]})

    def end(self) -> None:
        self.stopping.set()
        for thread in self._threads:
            thread.join(120)
        self._set_limit(ENOUGH_USD)

    def _submit(self) -> None:
        while not self.stopping.is_set():
            with suppress(openai.APIError):
                self._submit_one()
            time.sleep(0.5)

    def _submit_one(self) -> None:
        states = [self.dock.client.batches.retrieve(name).status for name in self.batches[-8:]]
        if sum(state in {"validating", "in_progress"} for state in states) < OPEN_BATCHES:
            self.batches.append(self.dock.submit(chat_lines(self.batch_lines)))

    def _submit_tight(self) -> None:
        self._submit_after_another(
            self.key[1], self.tight, chat_lines(TIGHT_LINES, max_tokens=TIGHT_TOKENS)
        )

    def _submit_own(self) -> None:
        self._submit_after_another(
            self.own_key[1], self.own, chat_lines(OWN_LINES, models=MODELS[1:])
        )

    def _submit_after_another(self, key: str, batches: list[str], lines: Sequence[Line]) -> None:
        """Submit one batch of `key` after the other."""
        while not self.stopping.is_set():
            with suppress(openai.APIError):
                client = self.dock.client_of(key)
                states = [client.batches.retrieve(name).status for name in batches[-1:]]
                if not states or states == ["completed"]:
                    batches.append(self.dock.submit(lines, key=key))
            time.sleep(0.5)

    def _ask_tight(self) -> None:
        client = self.dock.client_of(self.key[1]).with_options(max_retries=0, timeout=30)
        while not self.stopping.is_set():
            try:
                client.chat.completions.create(
                    model=MODELS[2],
                    messages=[{"role": "user", "content": "Hi"}],
                    max_tokens=TIGHT_TOKENS,
                )
            except openai.APIStatusError as error:
                self.refused += error.status_code == 402
            except openai.APIError:
                pass
            time.sleep(0.1)

    def _raise(self) -> None:
        """Give a little more, again and again: also a change of a budget may meet a kill."""
        while not self.stopping.wait(RAISE_S):
            with suppress(OSError):
                self._set_limit(self.limit_usd + TIGHT_USD)

    def _set_limit(self, limit_usd: Decimal) -> None:
        self.limit_usd = limit_usd
        self.dock.manage("PUT", f"budgets/{self.key[0]}/total", {"limit_usd": str(limit_usd)})

    def _ask(self) -> None:
        client = self.dock.client.with_options(max_retries=0, timeout=30)
        while not self.stopping.is_set():
            with suppress(openai.APIError):
                client.chat.completions.create(
                    model=MODELS[self.answered % 3], messages=[{"role": "user", "content": "Hi"}]
                )
                self.answered += 1
            time.sleep(0.1)


def wreak(dock: Dock, havoc: Havoc, report: Report, say: Say) -> None:
    """Carry out the schedule."""
    schedule = make_schedule(havoc.kills, havoc.seed)
    waking: list[threading.Timer] = []
    for number, event in enumerate(schedule, start=1):
        time.sleep(event.gap_s)
        if event.action == "pause":
            waking.append(_pause(dock, event.victim, havoc.paused_s, report))
        elif not _hit(dock, event, report):
            continue
        report.done[event.action] += 1
        if number % 20 == 0:
            say(f"{number} of {len(schedule)}: {dict(report.done)}")
    for timer in waking:
        timer.join()


def _await_alive(dock: Dock, victim: str) -> None:
    """Wait until a process runs: a kill of a dead process does not count."""
    give_up = time.monotonic() + 30
    while not dock.is_alive(victim) and time.monotonic() < give_up:
        time.sleep(0.05)


def _pause(dock: Dock, victim: str, paused_s: float, report: Report) -> threading.Timer:
    _await_alive(dock, victim)
    if victim.startswith("provider"):
        report.in_flight += _in_flight(dock, victim)
    dock.send_signal(victim, signal.SIGSTOP)
    timer = threading.Timer(paused_s, dock.wake, (dock.pids()[victim],))
    timer.start()
    return timer


def _hit(dock: Dock, event: Event, report: Report) -> bool:
    """Kill or restart a process; False if it was dead already."""
    _await_alive(dock, event.victim)
    if event.victim.startswith("provider") and event.action == "kill":
        report.in_flight += _in_flight(dock, event.victim)
    if event.action == "restart":
        dock.stop_orderly(event.victim)
        return True
    return dock.kill(event.victim)


def _in_flight(dock: Dock, name: str) -> int:
    """Return what a worker has in flight, by its own status a moment before; without a status, all that it may have."""
    with suppress(OSError):
        return int(dock.status(name).get("in_flight", 0))
    return CAPACITY


# the audit


def audit(dock: Dock, load: Load, report: Report, *, since_ms: int) -> None:
    """Compare what was accepted with what came of it, the provider's ledger with the rows, the cost with the prices."""
    ended = [(dock.wait(name, timeout_s=600), load.batch_lines) for name in load.batches]
    ended += [(dock.wait(name, timeout_s=600), TIGHT_LINES) for name in load.tight]
    ended += [(dock.wait(name, timeout_s=600), OWN_LINES) for name in load.own]
    report.singles, report.refused = load.answered, load.refused
    until(lambda: _held(dock) == 0, timeout_s=300, what="the end of all holds")
    audit_books(dock, ended, report)
    audit_own(dock, OWN_AT, report, since_ms=since_ms)
    if report.repeats > report.in_flight:
        report.faults.append(f"{report.repeats} repeats, {report.in_flight} were in flight")


def _held(dock: Dock) -> Decimal:
    (row,) = dock.rows("SELECT toString(sum(held_usd)) FROM crossdock.held_by_key")
    return Decimal(row[0])


def run(dock: Dock, havoc: Havoc, say: Say) -> Report:
    """Load an installation of two providers and two routers, wreak havoc, audit all that it ever did."""
    report, earlier = Report(), Report()
    for provider in PROVIDERS:
        accepted = {"api_keys": [OWN]} if provider == OWN_AT else {}
        latency = {"ms": 400, "kind": "uniform", "spread": 300}
        dock.behave(provider, latency=latency, **accepted)
    audit_repeats(read_rows(dock), earlier)
    report.in_flight = earlier.repeats  # what was repeated before counts as having been in flight
    load = Load(dock, havoc.batch_lines)
    started, since_ms = time.monotonic(), time.time_ns() // 1_000_000
    load.begin()
    until(lambda: bool(load.batches), what="the first batch")
    wreak(dock, havoc, report, say)
    load.end()
    audit(dock, load, report, since_ms=since_ms)
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
        havoc = Havoc(wish.kills, wish.seed)
        report = run(dock, havoc, lambda text: print(text, flush=True))
        report.tell(print)
    if not report.faults and not wish.keep:
        import shutil  # noqa: PLC0415  # only here

        shutil.rmtree(folder, ignore_errors=True)
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
