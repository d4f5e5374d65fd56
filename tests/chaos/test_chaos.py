"""The chaos harness: kills, pauses and restarts of everything, then an audit of the books."""

from collections.abc import Callable

from support.chaos import Havoc, make_schedule, run
from support.dock import Dock
from support.effort import Effort

SHORT = Havoc(kills=12, seed=270, paused_s=5.0, batch_lines=800)
"""A pause, two restarts, and kills of every stage, the broker and the engine among them."""
LONG = Havoc(kills=200, seed=11)


def test_a_seed_gives_the_same_schedule_again() -> None:
    assert make_schedule(50, 3) == make_schedule(50, 3)
    assert make_schedule(50, 3) != make_schedule(50, 4)


def test_kills_pauses_and_restarts_leave_no_fault_in_the_books(
    rough: Dock, effort: Effort, tell: Callable[[str], None]
) -> None:
    report = run(rough, effort(SHORT, LONG), say=lambda _: None)

    report.tell(tell)
    assert report.faults == []
    assert report.repeats == report.flagged
