"""An owner whose work takes long keeps neither the event loop nor the work of others."""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from crossdock.kernel.runtime.fair_threads import FairThreads, OwnerBusyError


@pytest.fixture
def threads() -> Iterator[FairThreads]:
    pool = FairThreads(2, max_waiting=5)
    yield pool
    pool.close()


async def test_work_has_its_result_or_its_error(threads: FairThreads) -> None:
    assert await threads.run("org_1", lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        await threads.run("org_1", lambda: 1 // 0)


async def test_an_owner_has_one_thread_at_a_time(threads: FairThreads) -> None:
    running, most = 0, 0

    def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.01)
        running -= 1

    await asyncio.gather(*(threads.run("org_1", work) for _ in range(5)))

    assert most == 1


async def test_others_do_not_wait_for_an_owner_that_is_slow(threads: FairThreads) -> None:
    free = threading.Event()
    slow = [asyncio.ensure_future(threads.run("slow", free.wait)) for _ in range(5)]  # noqa: TID251  # awaited below
    await asyncio.sleep(0)

    async with asyncio.timeout(5):
        assert await threads.run("other", lambda: "here") == "here"

    free.set()
    assert await asyncio.gather(*slow) == [True] * 5


async def test_too_much_work_of_an_owner_is_refused(threads: FairThreads) -> None:
    free = threading.Event()
    slow = [asyncio.ensure_future(threads.run("slow", free.wait)) for _ in range(5)]  # noqa: TID251  # awaited below
    await asyncio.sleep(0)

    with pytest.raises(OwnerBusyError, match="'slow'"):
        await threads.run("slow", lambda: None)

    free.set()
    await asyncio.gather(*slow)
    assert await threads.run("slow", lambda: 1) == 1


async def test_a_caller_that_goes_away_keeps_its_turn_until_its_thread_is_free(
    threads: FairThreads,
) -> None:
    free, order = threading.Event(), []

    def first() -> None:
        free.wait()
        order.append("first")

    gone = asyncio.ensure_future(threads.run("slow", first))  # noqa: TID251  # awaited below
    await asyncio.sleep(0.01)
    gone.cancel()
    next_ = asyncio.ensure_future(threads.run("slow", lambda: order.append("next")))  # noqa: TID251  # awaited below
    await asyncio.sleep(0.01)
    free.set()

    with pytest.raises(asyncio.CancelledError):
        await gone
    await next_
    assert order == ["first", "next"]
