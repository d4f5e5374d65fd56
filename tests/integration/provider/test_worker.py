"""Provider workers on a real Kafka, held against the simulated provider's own ledger."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from crossdock_schemas.calls.usage import CallOutcome, Usage
from crossdock_schemas.parcel.parcel import Lane
from crossdock_schemas.parcel.result import Outcome
from crossdock_schemas.pricing.prices import price_tokens
from integration.provider.plant import PRICES, Plant, booked, running_plant
from support.engines import RunningKafka

FAULTS = (
    "429", "429_quota", "500", "503", "529", "reset", "reset_mid_body", "truncated_body",
    "truncated_json", "garbage", "error_in_200", "no_finish", "no_usage", "timeout",
)  # fmt: skip


@pytest.fixture
async def plant(kafka: RunningKafka, tmp_path: Path) -> AsyncIterator[Plant]:
    async with running_plant(kafka.bootstrap_servers, tmp_path) as running:
        yield running


async def test_each_line_is_called_once_booked_once_and_answered_once(plant: Plant) -> None:
    worker = await plant.start_worker()

    await plant.dispatch(400)
    results = await plant.results(400)
    rows = await plant.usage(400)

    assert await worker.stop() == 0
    assert Counter(result.line for result in results) == Counter(range(400))
    assert {result.outcome for result in results} == {Outcome.COMPLETED}
    assert booked(rows) == Counter(await plant.calls(400))
    assert all(row.cost == price_tokens(row.tokens, PRICES) for row in rows)
    assert sum(r.cost_usd for r in results) == sum(row.cost.total for row in rows)


async def test_faults_of_every_kind_end_in_one_result_a_line_and_one_row_a_call(
    plant: Plant,
) -> None:
    faults = dict.fromkeys(FAULTS, 0.02)
    for provider in ("first", "next"):
        await plant.behave(
            provider, faults=faults, retry_after_s=0.2, latency={"kind": "fixed", "ms": 5}
        )
    worker = await plant.start_worker()

    await plant.dispatch(600)
    results = await plant.results(600)
    rows = await plant.usage(600)

    assert await worker.stop() == 0
    assert Counter(result.line for result in results) == Counter(range(600))
    assert booked(rows) == Counter(await plant.calls(600))
    assert {row.provider for row in rows} == {"first", "next"}
    assert all((row.cost.total > 0) == row.outcome.may_cost for row in rows if row.outcome != "ok")


async def test_a_provider_that_is_down_loses_its_lines_to_the_next(plant: Plant) -> None:
    await plant.behave("first", faults={"429_quota": 1.0})
    await plant.start_worker()

    await plant.dispatch(60)
    results = await plant.results(60)

    assert {(result.provider, result.attempts) for result in results} == {("next", 2)}


async def test_a_realtime_line_overtakes_a_backlog(plant: Plant) -> None:
    await plant.behave("first", latency={"kind": "fixed", "ms": 300})
    await plant.start_worker(CROSSDOCK_PROVIDER_CAPACITY="40")
    await plant.dispatch(400)
    await asyncio.sleep(0.5)

    await plant.dispatch(1, lane=Lane.REALTIME, start=1000)
    records = await plant.read("batches.results", lines=401)

    ends = {r.line: r.finished_at_ms for record in records for r in plant.results_in(record)}
    overtaken = sum(ends[1000] < ended for line, ended in ends.items() if line != 1000)
    assert overtaken > 200


async def test_an_orderly_restart_under_load_repeats_no_call(plant: Plant) -> None:
    await plant.behave("first", latency={"kind": "fixed", "ms": 100})
    worker = await plant.start_worker(CROSSDOCK_PROVIDER_CAPACITY="100")
    await plant.dispatch(1000)
    await plant.results(200)

    assert await worker.stop() == 0
    await plant.start_worker()
    results = await plant.results(1000)

    assert Counter(result.line for result in results) == Counter(range(1000))
    assert len(await plant.calls(1000)) == 1000


async def test_a_second_worker_joining_and_leaving_under_load_repeats_no_call(
    plant: Plant,
) -> None:
    await plant.behave("first", latency={"kind": "fixed", "ms": 100})
    first = await plant.start_worker(0, CROSSDOCK_PROVIDER_CAPACITY="100")
    await plant.dispatch(2000)
    await plant.results(200)

    second = await plant.start_worker(1, CROSSDOCK_PROVIDER_CAPACITY="100")
    await plant.until_shared(first, second)
    await plant.results(1000)
    assert await second.stop() == 0
    results = await plant.results(2000)

    assert Counter(result.line for result in results) == Counter(range(2000))
    assert len(await plant.calls(2000)) == 2000


async def test_a_killed_worker_loses_no_line_and_no_row_of_a_published_result(
    plant: Plant,
) -> None:
    await plant.behave("first", latency={"kind": "fixed", "ms": 50})
    worker = await plant.start_worker(CROSSDOCK_PROVIDER_CAPACITY="100")
    await plant.dispatch(1000)
    await plant.results(200)

    await worker.kill()
    await plant.start_worker()
    results = await plant.results(1000)
    rows = await plant.usage(1000)

    assert {result.line for result in results} == set(range(1000))
    told, supposed = by_knowledge(rows)
    assert {row.line for row in told} == set(range(1000))
    for group in (told, supposed):
        assert len({row.execution_id for row in group}) == len(group)


def by_knowledge(rows: Sequence[Usage]) -> tuple[list[Usage], list[Usage]]:
    """Part rows of calls whose end was seen from supposed ones; a call may have both, if its worker died in between."""
    told = [row for row in rows if row.outcome is not CallOutcome.UNKNOWN]
    return told, [row for row in rows if row.outcome is CallOutcome.UNKNOWN]


async def test_lines_in_a_long_wait_are_given_back_at_an_orderly_stop(plant: Plant) -> None:
    await plant.behave("next", faults={"429": 1.0}, retry_after_s=20)
    await plant.behave("first", faults={"429": 1.0}, retry_after_s=20)
    worker = await plant.start_worker()
    await plant.dispatch(20)
    async with asyncio.timeout(120):
        while (await worker.status())["in_flight"] < 20:  # noqa: ASYNC110  # another process's state
            await asyncio.sleep(0.05)

    assert await asyncio.wait_for(worker.stop(), timeout=120) == 0
    for provider in ("first", "next"):
        await plant.behave(provider)
    await plant.start_worker()

    results = await plant.results(20)
    assert Counter(result.line for result in results) == Counter(range(20))
