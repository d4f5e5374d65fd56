"""Provider workers under random schedules of crashes, freezes, orderly stops and joins.

A failing seed is its own reproduction: `World(seed).run()` gives the same schedule, whatever the machine does.
"""

import logging
from collections.abc import Iterator

import pytest
import structlog
from _pytest.mark import ParameterSet

from unit.simulation.loop import run_virtually
from unit.simulation.workers import World

SEEDS = 160
SOAK_SEEDS = 2000
CHUNK = 40

pytestmark = (
    pytest.mark.no_cover
)  # each line that it reaches is reached elsewhere, and it runs very many


def chunks(count: int, soak_count: int) -> list[ParameterSet]:
    """Return the first seed of each chunk; those above `count` are for a soak."""
    firsts = range(0, soak_count, CHUNK)
    return [pytest.param(n, marks=[pytest.mark.soak] if n >= count else []) for n in firsts]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


def run(seed: int, *, crashes: bool) -> World:
    return run_virtually(World(seed, crashes=crashes).run())


@pytest.mark.parametrize("first", chunks(SEEDS, SOAK_SEEDS))
def test_no_schedule_of_crashes_loses_a_request_a_call_or_a_flag(first: int) -> None:
    """Every request ends, every call has its row, every repeat is marked, and only calls in flight are repeated."""
    found = {seed: run(seed, crashes=True).faults() for seed in range(first, first + CHUNK)}

    assert {seed: faults for seed, faults in found.items() if faults} == {}


def test_some_schedules_do_repeat_calls() -> None:
    """Else the test above would prove nothing."""
    worlds = [run(seed, crashes=True) for seed in range(20)]

    assert sum(len(world.repeats) for world in worlds) > 0
    assert sum(world.cut_off for world in worlds) > 0


@pytest.mark.parametrize("first", chunks(SEEDS // 2, SOAK_SEEDS // 2))
def test_orderly_stops_and_rebalances_repeat_nothing(first: int) -> None:
    worlds = {seed: run(seed, crashes=False) for seed in range(first, first + CHUNK)}

    assert {seed: world.faults() for seed, world in worlds.items() if world.faults()} == {}
    assert sum(len(world.repeats) for world in worlds.values()) == 0


@pytest.mark.parametrize("seed", [3, 312])
def test_a_seed_gives_the_same_run_again(seed: int) -> None:
    first, again = run(seed, crashes=True), run(seed, crashes=True)

    assert first.provider.ledger == again.provider.ledger
    assert {p: len(log) for p, log in first.broker.logs.items()} == {
        p: len(log) for p, log in again.broker.logs.items()
    }
