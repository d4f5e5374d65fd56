"""Slow and hostile clients: what they cost another client's chat requests, and the memory of ingress.

Run: infra/scripts/bench slow_clients [--slow 1000] [--calls 400] [--rounds 3]

A whole installation with a simulated provider of 50 ms. A third of the slow clients stop in their headers, a third send
a header and a third a body byte by byte; beside them two clients send headers of 200 MB, one a URL of 60 MB, and 30
begin uploads and stop. They are a process of its own, with low priority. Rounds without and with them take turns.
"""

import argparse
import asyncio
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from bench.load import Load, Target, chat_body, drive
from bench.processes import peak_mib
from support.dock import Dock, running_dock
from support.slow_clients import slow_clients

LATENCY_MS = 50
LANES = 4
MODEL = "tern-mini"
HEADERS, URLS, UPLOADS = 2, 1, 30
INGRESS = "ingress.0"


def measure(dock: Dock, key: str, calls: int) -> Load:
    """Send chat requests over a few connections."""
    url = f"{dock.addresses['OPENAI_BASE_URL']}/chat/completions"
    target = Target(url, f"authorization: Bearer {key}\r\n")
    load = asyncio.run(drive(target, chat_body(MODEL), calls=calls, lanes=LANES, timeout_s=300))
    if load.failures:
        raise RuntimeError(f"not all requests were answered: {load.statuses}")
    return load


@contextmanager
def attack(dock: Dock, key: str, slow: int) -> Iterator[None]:
    where = urlsplit(dock.addresses["OPENAI_BASE_URL"])
    third = slow // 3
    kinds = {"half": slow - 2 * third, "trickle": third, "body": third}
    more = {"header": HEADERS, "url": URLS, "upload": UPLOADS}
    with slow_clients(str(where.hostname), int(where.port or 80), key, **kinds, **more):
        yield


def show(name: str, loads: Sequence[Load], dock: Dock) -> float:
    """Print the figures of some rounds, and return the median of their p99."""
    p50, p99 = (
        statistics.median(load.percentile_ms(share) for load in loads) for share in (0.5, 0.99)
    )
    memory = peak_mib(psutil.Process(dock.pids()[INGRESS]))
    rounds = ", ".join(f"{load.percentile_ms(0.99):.0f}" for load in loads)
    print(
        f"{name}: p50 {p50:.0f} ms, p99 {p99:.0f} ms (rounds {rounds}); ingress {memory:.0f} MiB at most"
    )
    return p99


def run(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slow", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load:.1f}")
    with (
        tempfile.TemporaryDirectory() as folder,
        running_dock(Path(folder), "--latency-ms", str(LATENCY_MS)) as dock,
    ):
        _, key = dock.make_key("bystander")
        _, hostile = dock.make_key("hostile")
        measure(dock, key, asked.calls)
        alone, attacked = [], []
        for _ in range(asked.rounds):
            alone.append(measure(dock, key, asked.calls))
            with attack(dock, hostile, asked.slow):
                attacked.append(measure(dock, key, asked.calls))
        quiet = show("alone", alone, dock)
        loud = show(f"beside {asked.slow} slow clients", attacked, dock)
        print(f"p99 grows {loud / quiet:.2f} times")


if __name__ == "__main__":
    run(sys.argv[1:])
