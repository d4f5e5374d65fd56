"""A batch through the whole pipeline, everything on this machine; side by side with LiteLLM's proxy in the same run.

Run: infra/scripts/bench throughput [--lines 20000] [--parcel-lines 20 ...] [--no-litellm]

1 kB prompts, a simulated provider that takes 50 ms. What is counted: from `batches.create` to `completed`. Both sides
call the same simulator process, LiteLLM while the pipeline idles.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import litellm_side
from bench.meter import Cost, read
from support.dock import Dock, chat_lines, running_dock, until

LATENCY_MS = 50
PROMPT_CHARS = 1000
WARM_UP_LINES = 6000
LITELLM_REQUESTS = 3000


def prompts(count: int) -> bytes:
    lines = chat_lines(count, chars=PROMPT_CHARS)
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def measure(dock: Dock, lines: int) -> float:
    """Run a batch of `lines`, print what it cost, return completions per second."""
    content = prompts(lines)
    file = dock.client.files.create(file=("bench.jsonl", content), purpose="batch")
    before = read(dock)
    began = time.monotonic()
    created = dock.client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    created_s = time.monotonic() - began
    batch = dock.wait(created.id, timeout_s=600)
    took_s = time.monotonic() - began
    assert batch.request_counts is not None
    assert batch.request_counts.completed == lines, batch.request_counts
    until(lambda: rows_of(dock, created.id) == lines, what="the rows of every request")
    cost = Cost(before, read(dock), lines)
    print(
        f"{lines:,} lines: {lines / took_s:,.0f} completions/s ({took_s:.1f} s; created in {created_s * 1000:.0f} ms)"
    )
    cost.show()
    cost.show_traffic()
    return lines / took_s


def rows_of(dock: Dock, batch_id: str) -> int:
    sql = f"SELECT count() FROM crossdock.requests FINAL WHERE batch_id = '{batch_id}'"
    return int(dock.rows(sql)[0][0])


def run(lines: int, parcel_lines: int, rounds: int, *, with_litellm: bool) -> None:
    """Measure one parcel length on an installation of its own."""
    os.environ["CROSSDOCK_BATCHES_PARCEL_LINES"] = str(parcel_lines)  # noqa: TID251  # of the children
    print(f"\nparcels of {parcel_lines}")
    with (
        tempfile.TemporaryDirectory() as folder,
        running_dock(Path(folder), "--latency-ms", str(LATENCY_MS)) as dock,
    ):
        warm = dock.wait(dock.submit_bytes(prompts(WARM_UP_LINES)), timeout_s=300)
        until(lambda: rows_of(dock, warm.id) == WARM_UP_LINES, what="the warm-up's rows")
        rates = [measure(dock, lines) for _ in range(rounds)]
        if with_litellm:
            compare(dock, statistics.median(rates))


def compare(dock: Dock, rate: float) -> None:
    """Print LiteLLM's figures against the same simulator, and the ratio of the rates."""
    simulator = dock.addresses["CROSSDOCK_SIMULATOR_URL"]
    found = asyncio.run(litellm_side.compare(simulator, requests=LITELLM_REQUESTS))
    for figures in found:
        print(figures.show())
    print(f"ratio to LiteLLM's best: {rate / found[0].rate:.1f}")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=20_000)
    parser.add_argument("--parcel-lines", type=int, nargs="+", default=[20])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-litellm", action="store_true")
    asked = parser.parse_args(arguments)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores")
    for number, length in enumerate(asked.parcel_lines):
        last = number == len(asked.parcel_lines) - 1
        run(asked.lines, length, asked.rounds, with_litellm=last and not asked.no_litellm)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
