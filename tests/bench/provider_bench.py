"""One provider worker between a real Kafka and the simulated provider: CPU of the worker per line.

Run: infra/scripts/bench provider_bench [--lines 10000] [--parcel 20]
"""

import argparse
import asyncio
import os
import platform
import tempfile
import time
from pathlib import Path

import psutil

from integration.provider.plant import Plant, running_plant
from support.engines import start_kafka

WARM_UP_LINES = 2000
PROMPT = "word " * 200  # 1 kB


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def measure(plant: Plant, lines: int, parcel_lines: int) -> None:
    worker = psutil.Process((await plant.start_worker()).pid)
    simulator = psutil.Process(plant.simulator.pid)
    await plant.dispatch(WARM_UP_LINES, parcel_lines=parcel_lines, prompt=PROMPT)
    await plant.results(WARM_UP_LINES)
    before = (cpu_s(worker), cpu_s(simulator), time.monotonic())
    await plant.dispatch(lines, parcel_lines=parcel_lines, prompt=PROMPT, start=WARM_UP_LINES)
    await plant.results(WARM_UP_LINES + lines, timeout_s=300)
    took_s = time.monotonic() - before[2]
    worker_us = (cpu_s(worker) - before[0]) / lines * 1e6
    simulator_us = (cpu_s(simulator) - before[1]) / lines * 1e6
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, parcels of {parcel_lines}")
    print(f"{lines} lines in {took_s:.2f} s: {lines / took_s:,.0f} lines/s")
    print(f"CPU per line: provider worker {worker_us:.0f} us, simulator {simulator_us:.0f} us")
    print(f"provider worker: {worker.memory_info().rss / 1024**2:.0f} MiB resident")


async def main(servers: str, folder: Path, lines: int, parcel_lines: int) -> None:
    async with running_plant(servers, folder, latency_ms=50) as plant:
        await measure(plant, lines, parcel_lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--parcel", type=int, default=20)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, start_kafka(Path(scratch) / "kafka") as kafka:
        asyncio.run(main(kafka.bootstrap_servers, Path(scratch), asked.lines, asked.parcel))
