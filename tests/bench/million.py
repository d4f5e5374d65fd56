"""A 1,000,000-line input: how fast the batch is created, and what memory each process takes.

Run: infra/scripts/bench million [--lines 1000000]

Measured until validation is over and 20,000 lines are done; then the batch is cancelled.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import openai

from bench.meter import read
from support.dock import MODELS, Dock, running_dock

DONE_LINES = 20_000
LIMIT_MIB = 400
LATENCY_MS = 50
LATE_S = 600


def write_input(path: Path, lines: int) -> None:
    with path.open("w") as out:
        out.writelines(_lines(lines))


def _lines(count: int) -> Iterator[str]:
    words = "word " * 60
    for number in range(count):
        yield (
            f'{{"custom_id":"line-{number}","method":"POST","url":"/v1/chat/completions","body":'
            f'{{"model":"{MODELS[number % 3]}","messages":[{{"role":"user","content":"{number} {words}"}}]}}}}\n'
        )


def until(dock: Dock, batch_id: str, *, lines: int) -> openai.types.Batch:
    """Poll until `lines` lines are done, 0 meaning: validated; print the steps on the way."""
    give_up = time.monotonic() + LATE_S
    while time.monotonic() < give_up:
        batch = dock.client.batches.retrieve(batch_id)
        counts = batch.request_counts
        if batch.status not in {"validating", "in_progress"}:
            raise RuntimeError(f"{batch_id} is {batch.status}")
        if batch.status == "in_progress" and counts is not None and counts.completed >= lines:
            return batch
        time.sleep(0.1)
    raise TimeoutError(batch_id)


def measure(dock: Dock, source: Path, lines: int) -> int:
    print(f"{lines:,} lines, {source.stat().st_size / 1024**2:,.0f} MiB")
    began = time.monotonic()
    file = dock.client.files.create(file=source, purpose="batch")
    print(f"uploaded in {time.monotonic() - began:.1f} s")
    began = time.monotonic()
    created = dock.client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    print(f"created in {(time.monotonic() - began) * 1000:.0f} ms")
    until(dock, created.id, lines=0)
    print(f"validated after {time.monotonic() - began:.1f} s")
    batch = until(dock, created.id, lines=DONE_LINES)
    assert batch.request_counts is not None
    print(f"{batch.request_counts.completed:,} done after {time.monotonic() - began:.1f} s")
    peaks = read(dock).peak_mib
    for name, peak in sorted(peaks.items(), key=lambda item: -item[1]):
        print(f"  {name:14} peak {peak:4.0f} MiB")
    dock.client.batches.cancel(created.id)
    ended = dock.wait(created.id, timeout_s=LATE_S)
    print(f"cancelled after {time.monotonic() - began:.1f} s: {ended.request_counts}")
    ours = max(peak for name, peak in peaks.items() if name != "kafka")
    return 0 if ours <= LIMIT_MIB else 1


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=1_000_000)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "input.jsonl"
        write_input(source, asked.lines)
        with running_dock(Path(folder) / "data", "--latency-ms", str(LATENCY_MS)) as dock:
            return measure(dock, source, asked.lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
