"""A short run of the chaos harness: kills, pauses and restarts of everything, then an audit of the books."""

from collections.abc import Callable
from pathlib import Path

from support.chaos import make_schedule, run
from support.dock import running_dock

KILLS = 30
SEED = 11


def test_a_seed_gives_the_same_schedule_again() -> None:
    assert make_schedule(50, 3) == make_schedule(50, 3)
    assert make_schedule(50, 3) != make_schedule(50, 4)


def test_kills_pauses_and_restarts_leave_no_fault_in_the_books(
    tmp_path: Path, tell: Callable[[str], None]
) -> None:
    with running_dock(tmp_path, "--scale", "provider=2", "--scale", "router=2") as dock:
        report = run(dock, kills=KILLS, seed=SEED, say=lambda _: None)

    report.tell(tell)
    assert report.faults == []
    assert report.repeats == report.flagged
