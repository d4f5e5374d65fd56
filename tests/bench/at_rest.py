"""One request at rest through the whole pipeline, against a provider that answers at once.

Run: infra/scripts/bench at_rest [--requests 500]

The requests go one after the other over one connection: chat.completions.create's path without the SDK's own cost,
which is printed beside it.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx

from support.dock import MODELS, Dock, running_dock

WARM_UP = 200
PAUSE_S = 0.02  # at rest: the next one comes when all is quiet


def raw_call(dock: Dock) -> Callable[[], None]:
    client = httpx.Client(headers={"authorization": f"Bearer {dock.client.api_key}"}, timeout=30)
    body = {"model": MODELS[0], "messages": [{"role": "user", "content": "word " * 200}]}
    url = f"{dock.addresses['OPENAI_BASE_URL']}/chat/completions"

    def call() -> None:
        client.post(url, json=body).raise_for_status()

    return call


def sdk_call(dock: Dock) -> Callable[[], None]:
    client = dock.client

    def call() -> None:
        client.chat.completions.create(
            model=MODELS[0], messages=[{"role": "user", "content": "word " * 200}]
        )

    return call


def measure(name: str, call: Callable[[], None], requests: int) -> None:
    for _ in range(WARM_UP):
        call()
    took_ms = []
    for _ in range(requests):
        time.sleep(PAUSE_S)
        began = time.perf_counter()
        call()
        took_ms.append((time.perf_counter() - began) * 1000)
    cuts = statistics.quantiles(took_ms, n=100)
    print(
        f"{name}: p50 {cuts[49]:.1f} ms, p90 {cuts[89]:.1f} ms, p99 {cuts[98]:.1f} ms, most {max(took_ms):.1f} ms "
        f"({requests} requests)"
    )


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=500)
    asked = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_dock(Path(folder), "--latency-ms", "0") as dock,
    ):
        measure("HTTP", raw_call(dock), asked.requests)
        measure("openai SDK", sdk_call(dock), asked.requests)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
