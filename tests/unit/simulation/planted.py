"""Bugs on purpose: the simulation must find each of them, or it proves nothing.

    python -m unit.simulation.planted [--seeds 1000]

Each is planted into a copy of the code, and random schedules are run until one breaks a guarantee.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
_RUN = """
import logging, sys, structlog
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
from unit.simulation.loop import run_virtually
from unit.simulation.workers import World
for seed in range(int(sys.argv[1])):
    for crashes in (False, True):
        try:
            world = run_virtually(World(seed, crashes=crashes).run())
        except BaseException as error:
            found = [repr(error)[:80]]
        else:
            found = world.faults()
        if found:
            print(f"seed {seed}{' with crashes' if crashes else ''}: {found[0]}")
            sys.exit(0)
sys.exit(1)
"""


@dataclass(frozen=True)
class Bug:
    """`old`, which must occur in `file` once, becomes `new`."""

    name: str
    file: str
    old: str
    new: str


BUGS = (
    Bug(
        "the call begins without its claim",
        "provider/attempt.py",
        "started_ms = await self.claims.start(self.job, self.line, number, is_urgent=is_urgent)",
        "started_ms = self.clock.now_ms()",
    ),
    Bug(
        "offsets are committed when a record is begun, not when it is done",
        "kernel/runtime/pool/offset_tracker.py",
        "return next(iter(self._marks), self.next)",
        "return self.next",
    ),
    Bug(
        "a new owner does not wait for the worker that still runs a call",
        "kernel/runtime/pool/claims.py",
        "return any(now_ms <= self._leases.get(claim, 0) for claim in earlier.holders())",
        "return False",
    ),
    Bug(
        "calls that a dead worker began are not booked",
        "provider/attempt.py",
        "        if earlier is None or not starts:",
        "        if earlier is None or starts:",
    ),
    Bug(
        "lines that ended are run again",
        "provider/worker.py",
        "if earlier is not None and line in earlier.ended:",
        "if earlier is None and line == -1:",
    ),
    Bug(
        "leases are not renewed",
        "kernel/runtime/pool/claim_writer.py",
        "            if jobs and self._lease_until_ms",
        "            if not jobs and self._lease_until_ms",
    ),
    Bug(
        "an end is claimed before its result is published",
        "provider/worker.py",
        "        await self.publisher.finish([await self._within_limits(end)])\n"
        "        await self.claims.end([(job, line)])",
        "        await self.claims.end([(job, line)])\n"
        "        await self.publisher.finish([await self._within_limits(end)])",
    ),
    Bug(
        "a paused worker continues with records that another worker took over",
        "kernel/runtime/pool/claim_writer.py",
        "        if not is_stale and await self.still_owns(partition):",
        "        if True:",
    ),
    Bug(
        "a claim counts although it came into the log too late",
        "kernel/runtime/pool/claim_writer.py",
        "            is_late = self._clock.now_ms() > due_ms[partition]",
        "            is_late = not due_ms",
    ),
    Bug(
        "a repeat does not name the call that it repeats",
        "provider/attempt.py",
        "            repeat_of=self.repeat_of,\n        )\n        if self.repeat_of",
        "            repeat_of=None,\n        )\n        if self.repeat_of",
    ),
    Bug(
        "what may have been paid for is called again under the same hold",
        "provider/attempt.py",
        "        if lapsed and self.parcel.hold is not None:",
        "        if lapsed and self.parcel.hold is None:",
    ),
    Bug(
        "a call that broke off leaves its hold as it was",
        "provider/attempt.py",
        "            self.has_cost = self.parcel.hold is not None",
        "            self.has_cost = False",
    ),
    Bug(
        "a line whose call broke off keeps its hold",
        "provider/worker.py",
        "        for is_lost in (False, True):",
        "        for is_lost in (True,):",
    ),
    Bug(
        "a worker presumed dead sends on lines that others took over",
        "provider/worker.py",
        "        await self.claims.confirm(job)\n",
        "",
    ),
    Bug(
        "the end of a line does not end its hold",
        "provider/publisher.py",
        "            if line.parcel.hold is not None\n        ]",
        "            if line.parcel.hold is None\n        ]",
    ),
    Bug(
        "what ran through a rebalance is begun a second time",
        "kernel/runtime/pool/pool.py",
        "        if job is not None:  # it ran through a rebalance",
        "        if job is None and record.offset < 0:",
    ),
)


def plant(bug: Bug, folder: Path) -> None:
    """Copy the code to `folder` and put `bug` into it.

    Raises:
        ValueError: if the code has changed, so that the bug has no place any more.
    """
    shutil.copytree(ROOT / "services", folder / "services")
    file = folder / "services/crossdock" / bug.file
    text = file.read_text()
    if text.count(bug.old) != 1:
        raise ValueError(f"{bug.name}: {bug.file} has its place {text.count(bug.old)} times")
    file.write_text(text.replace(bug.old, bug.new))


def search(bug: Bug, seeds: int) -> str | None:
    """Return the first schedule that shows `bug`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plant(bug, folder)
        path = f"{folder / 'services'}:{ROOT / 'schemas'}:{ROOT / 'tests'}"
        done = subprocess.run(
            [sys.executable, "-c", _RUN, str(seeds)],
            env=dict(os.environ) | {"PYTHONPATH": path},  # noqa: TID251  # a child's environment
            capture_output=True,
            text=True,
            check=False,
        )
    return done.stdout.strip() or None if done.returncode == 0 else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1000, help="schedules to try for each (1000)")
    seeds = parser.parse_args().seeds
    missed = 0
    for bug in BUGS:
        found = search(bug, seeds)
        missed += found is None
        print(f"{bug.name:70} {found or 'NOT FOUND'}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
