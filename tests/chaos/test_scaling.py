"""Calls longer than a lease, a session and an orderly stop's patience. Workers come and go meanwhile."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from crossdock_schemas.parcel.result import Outcome
from integration.provider.plant import Plant, booked, running_plant
from support.effort import Effort
from support.engines import RunningKafka

LINES = 240


@pytest.fixture
async def plant(kafka: RunningKafka, tmp_path: Path) -> AsyncIterator[Plant]:
    async with running_plant(kafka.bootstrap_servers, tmp_path, read_timeout_s=60) as running:
        yield running


async def test_workers_scaled_from_one_to_three_and_back_repeat_no_call(
    plant: Plant, effort: Effort, tell: Callable[[str], None]
) -> None:
    env = effort.steady_times | {"CROSSDOCK_PROVIDER_CAPACITY": "100"}
    call_s = effort(10, 30)
    await plant.behave("first", latency={"kind": "fixed", "ms": call_s * 1000})
    first = await plant.start_worker(0, **env)
    await plant.dispatch(LINES, parcel_lines=4)
    await asyncio.sleep(call_s / 6)

    second, third = [await plant.start_worker(n, **env) for n in (1, 2)]
    await asyncio.sleep(call_s / 4)
    ends = list(await asyncio.gather(second.stop(limit_s=100), third.stop(limit_s=100)))
    results = await plant.results(LINES, timeout_s=600)
    rows = await plant.usage(LINES)
    calls = await plant.calls(LINES)
    ends.append(await first.stop())

    tell(
        f"{LINES} lines, {len(calls)} calls, {len(calls) - len(set(calls))} of them twice, "
        f"{sum(row.repeat_of is not None for row in rows)} flagged"
    )
    assert ends == [0, 0, 0]
    assert {result.outcome for result in results} == {Outcome.COMPLETED}
    assert Counter(result.line for result in results) == Counter(range(LINES))
    assert len(calls) == LINES
    assert booked(rows) == Counter(calls)
