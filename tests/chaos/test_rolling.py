"""A rolling restart of every stage under load: nothing fails, nothing is called twice."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import openai

from support.dock import MODELS, Dock, chat_lines, repeated
from support.effort import Effort

STAGES = (
    "ingress.0",
    "batches.0",
    "router.0",
    "router.1",
    "provider.0",
    "provider.1",
    "metering.0",
    "accounts.0",
)


@contextmanager
def asking(dock: Dock) -> Iterator[list[str]]:
    """Ask for single answers all the time; give what became of each."""
    said: list[str] = []
    stop = threading.Event()
    patient = dock.client.with_options(max_retries=20)  # an ingress may take its time to come back

    def ask() -> None:
        while not stop.is_set():
            try:
                patient.chat.completions.create(
                    model=MODELS[len(said) % 3], messages=[{"role": "user", "content": "Hi"}]
                )
                said.append("answered")
            except openai.APIError as error:
                said.append(repr(error))
            time.sleep(0.05)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield said
    finally:
        stop.set()
        thread.join(90)


def test_a_rolling_restart_fails_nothing_and_calls_nothing_twice(
    dock: Dock, effort: Effort, tell: Callable[[str], None]
) -> None:
    lines = effort(4000, 12_000)
    dock.rest()
    dock.reset_simulator()
    for provider in ("sim-atlas", "sim-borealis", "sim-cumulus"):
        dock.behave(provider, latency={"ms": 500, "kind": "uniform", "spread": 400})
    batch_id = dock.submit(chat_lines(lines))
    away: dict[str, float] = {}

    with asking(dock) as said:
        for name in STAGES:
            time.sleep(0.5)
            began = time.monotonic()
            dock.restart(name)
            away[name] = time.monotonic() - began
        batch = dock.wait(batch_id)
    answered, failed = dock.output(batch)
    entries = dock.ledger()
    dock.reset_simulator()

    twice = repeated(json.dumps((e["request_id"], e["attempt"])) for e in entries)
    tell(
        f"{len(STAGES)} restarts: {', '.join(f'{n} {s:.1f} s' for n, s in away.items())}; "
        f"{len(answered)} lines and {len(said)} single requests, "
        f"{len(failed) + len(said) - said.count('answered')} failed, {len(twice)} calls repeated"
    )
    assert failed == []
    assert set(said) == {"answered"}
    assert len(answered) == lines
    assert twice == []
    assert len(entries) == lines + len(said)
