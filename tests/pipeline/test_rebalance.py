"""Two providers and two routers share the load, and hand it to each other without loss and without a second call."""

import json
import signal
import time
from collections import Counter
from collections.abc import Callable

import pytest

from support.dock import Dock, chat_lines, repeated
from support.effort import Effort

ROUNDS = 3
WORKERS = ("provider.0", "provider.1")
ROUTERS = ("router.0", "router.1")
PROVIDERS = ("sim-atlas", "sim-borealis", "sim-cumulus")
CALLS = "crossdock_provider_calls_total"
SENT = "crossdock_records_sent_total"


@pytest.fixture
def lines(effort: Effort) -> int:
    return effort(2400, 6000)


def test_orderly_stops_under_load_lose_nothing_and_call_nothing_twice(
    dock: Dock, lines: int, tell: Callable[[str], None]
) -> None:
    dock.rest()
    dock.reset_simulator()
    for provider in PROVIDERS:
        dock.behave(provider, latency={"ms": 300})
    started = time.monotonic()
    batches = [dock.submit(chat_lines(lines))]
    stops = 0

    for number in range(ROUNDS):
        time.sleep(1.0)
        if number:
            batches.append(dock.submit(chat_lines(lines // 2)))  # load from the other side as well
        for name in (WORKERS[number % 2], ROUTERS[number % 2]):
            dock.restart(name)
            stops += 1
    ended = [dock.wait(batch_id) for batch_id in batches]
    took_s = time.monotonic() - started
    entries = dock.ledger()
    dock.reset_simulator()

    total = 0
    for batch in ended:
        answered, failed = dock.output(batch)
        ids = [line["custom_id"] for line in answered + failed]
        assert batch.status == "completed"
        assert batch.request_counts is not None
        assert failed == []
        assert repeated(ids) == []
        assert len(ids) == batch.request_counts.total
        total += len(ids)
    twice = repeated(json.dumps((e["request_id"], e["attempt"])) for e in entries)
    tell(
        f"{stops} orderly stops, {total} lines in {took_s:.0f} s, {len(entries)} calls, "
        f"{len(twice)} of them twice; {dict(Counter(e['outcome'] for e in entries))}"
    )
    assert twice == []
    assert len(entries) == total


def test_both_workers_and_both_routers_do_their_share(
    dock: Dock, lines: int, tell: Callable[[str], None]
) -> None:
    dock.rest()
    calls = {name: dock.metric(name, CALLS) for name in WORKERS}
    sent = {name: dock.metric(name, SENT) for name in ROUTERS}

    batches = [dock.submit(chat_lines(lines // 2)) for _ in range(2)]
    for batch_id in batches:
        assert dock.wait(batch_id).status == "completed"

    shares = {name: dock.metric(name, CALLS) - calls[name] for name in WORKERS}
    parcels = {name: dock.metric(name, SENT) - sent[name] for name in ROUTERS}
    tell(f"calls {shares}, records sent {parcels}")
    assert sum(shares.values()) == lines
    assert min(shares.values()) > lines * 0.1
    assert min(parcels.values()) > sum(parcels.values()) * 0.1


def test_a_worker_that_stands_still_for_a_while_changes_nothing(
    dock: Dock, lines: int, tell: Callable[[str], None]
) -> None:
    dock.rest()
    dock.reset_simulator()
    for provider in PROVIDERS:
        dock.behave(provider, latency={"ms": 300})
    before = dock.pids()
    batch_id = dock.submit(chat_lines(lines))

    for name in ("provider.0", "router.1"):
        time.sleep(0.7)
        dock.send_signal(name, signal.SIGSTOP)
        time.sleep(2.0)
        dock.send_signal(name, signal.SIGCONT)
    batch = dock.wait(batch_id)
    answered, failed = dock.output(batch)
    entries = dock.ledger()
    dock.reset_simulator()

    ids = [line["custom_id"] for line in answered + failed]
    twice = repeated(json.dumps((e["request_id"], e["attempt"])) for e in entries)
    tell(f"{len(entries)} calls for {lines} lines, {len(twice)} of them twice")
    assert batch.status == "completed"
    assert failed == []
    assert sorted(ids) == sorted(f"line-{n}" for n in range(lines))
    assert twice == []
    assert dock.pids() == before
