"""What a running installation costs: CPU and peak memory by process, traffic through Kafka and ClickHouse."""

import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.processes import cpu_s, peak_mib
from support.dock import Dock

KAFKA_BATCH_BYTES = 61  # of a record batch's header, shared by its records
_SAMPLE = re.compile(r"^(crossdock_\w+?)_total(?:\{(.*)\})? (\S+)$", re.MULTILINE)

Counters = dict[tuple[str, str], float]
"""By metric and label text."""


@dataclass(frozen=True)
class Reading:
    """The state of all processes at one moment."""

    cpu_s: dict[str, float]
    peak_mib: dict[str, float]
    counters: Counters
    kafka_bytes: int
    """On disk, of all topics."""


def read(dock: Dock) -> Reading:
    """Measure the processes as they are now."""
    processes = {name: psutil.Process(p["pid"]) for name, p in dock.processes().items()}
    counters: Counters = {}
    for process in dock.processes().values():
        for key, value in _counters(process["ops_port"]):
            counters[key] = counters.get(key, 0.0) + value
    return Reading(
        {name: cpu_s(process) for name, process in processes.items()},
        {name: peak_mib(process) for name, process in processes.items()},
        counters,
        _bytes_below(dock.data.path / "kafka"),
    )


def _counters(port: int | None) -> Iterator[tuple[tuple[str, str], float]]:
    if not port:
        return
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    for name, labels, value in _SAMPLE.findall(text):
        yield (name, labels), float(value)


def _bytes_below(folder: Path) -> int:
    return sum(f.stat().st_blocks * 512 for f in folder.rglob("*.log") if f.is_file())


def forget_peaks(dock: Dock) -> None:
    """Let peak memory count from now on, where the kernel allows it."""
    for process in dock.processes().values():
        for member in (psutil.Process(process["pid"]),):
            Path(f"/proc/{member.pid}/clear_refs").write_text("5")


@dataclass(frozen=True)
class Cost:
    """What lies between two readings, for `completions` completions."""

    before: Reading
    after: Reading
    completions: int

    def total(self, metric: str, label: str = "") -> float:
        return sum(
            value - self.before.counters.get(key, 0.0)
            for key, value in self.after.counters.items()
            if key[0] == metric and label in key[1]
        )

    @property
    def cpu_us(self) -> dict[str, float]:
        """CPU microseconds of each process per completion (= milliseconds per 1,000)."""
        return {
            name: (self.after.cpu_s[name] - self.before.cpu_s.get(name, 0.0))
            / self.completions
            * 1e6
            for name in self.after.cpu_s
        }

    def show(self) -> None:
        """Print the figures."""
        for name, spent_us in sorted(self.cpu_us.items(), key=lambda item: -item[1]):
            print(
                f"  {name:14} {spent_us / 1000:6.3f} CPU s per 1,000   peak {self.after.peak_mib[name]:4.0f} MiB"
            )
        print(f"  {'all':14} {sum(self.cpu_us.values()) / 1000:6.3f} CPU s per 1,000")

    def show_traffic(self) -> None:
        """Print records and bytes per request."""
        per = self.completions
        print(
            f"  Kafka: {self.total('crossdock_records_sent') / per:.2f} records and "
            f"{self.total('crossdock_sent_bytes') / per:,.0f} bytes produced, "
            f"{self.total('crossdock_records_polled') / per:.2f} records and "
            f"{self.total('crossdock_polled_bytes') / per:,.0f} bytes consumed a request"
        )
        print(
            f"  ClickHouse: {self.total('crossdock_rows_inserted') / per:.2f} rows and "
            f"{self.total('crossdock_inserted_bytes') / per:,.0f} bytes inserted a request"
        )
