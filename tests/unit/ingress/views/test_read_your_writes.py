"""Waiting for what a tail will show."""

import asyncio

import pytest

from crossdock.ingress.views.read_your_writes import DAY_MS, Arrivals, is_recent
from crossdock_schemas.ids import derive_batch_id, make_batch_id

NOW_MS = 20_000 * DAY_MS + 5_000_000


async def test_what_is_there_is_not_waited_for() -> None:
    assert await Arrivals().until("k", lambda: 1, timeout_s=60) == 1


async def test_what_comes_is_seen_at_once() -> None:
    arrivals, seen = Arrivals(), list[int]()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(
            arrivals.until("k", lambda: seen[1] if len(seen) > 1 else None, timeout_s=60)
        )
        for number in range(2):
            await asyncio.sleep(0)
            seen.append(number)
            arrivals.came("other")
            arrivals.came("k")

    assert waiting.result() == 1


async def test_what_does_not_come_is_given_up() -> None:
    arrivals = Arrivals()

    nothing: list[int] = []

    found = await arrivals.until("k", lambda: nothing[0] if nothing else None, timeout_s=0.01)

    assert found is None
    assert arrivals._waiting == {}


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        pytest.param(make_batch_id(NOW_MS - 1000), True, id="just made"),
        pytest.param(make_batch_id(NOW_MS + 1000), True, id="by a clock ahead of ours"),
        pytest.param(make_batch_id(NOW_MS - 61_000), False, id="a minute ago"),
        pytest.param(derive_batch_id("a", "key", NOW_MS), True, id="by a key today"),
        pytest.param(derive_batch_id("a", "key", NOW_MS - DAY_MS), True, id="by a key yesterday"),
        pytest.param(derive_batch_id("a", "key", NOW_MS - 2 * DAY_MS), False, id="by an old key"),
        pytest.param("batch_nonsense", False, id="no id of ours"),
    ],
)
def test_a_recent_id_is_known_by_its_time(identifier: str, expected: bool) -> None:
    assert is_recent(identifier, NOW_MS) is expected
