"""A consumer that stands still although there is something to read is told from one that is idle or busy."""

import asyncio
from collections.abc import Collection

import pytest

from crossdock.kernel.errors import LogError
from crossdock.kernel.kafka.watch import Place, StallWatch

PLACE = ("topic", 0)


class FakeReader:
    def __init__(self, position: int, end: int) -> None:
        self.at = position
        self.end = end
        self.places: frozenset[Place] = frozenset({PLACE})
        self.hangs = False

    def active(self) -> frozenset[Place]:
        return self.places

    async def position(self, place: Place) -> int:
        return self.at

    async def end_offsets(self, places: Collection[Place]) -> dict[Place, int]:
        if self.hangs:
            await asyncio.sleep(30)
        return dict.fromkeys(places, self.end)


def make_watch(reader: FakeReader) -> StallWatch:
    return StallWatch(reader, patience_s=0.0, ask_limit_s=0.01)


async def test_behind_at_the_same_place_twice_is_a_stall() -> None:
    watch = make_watch(FakeReader(5, 9))
    await watch.saw(0)

    with pytest.raises(LogError, match=r"no progress on topic\[0\] at 5"):
        await watch.saw(0)


async def test_slow_progress_is_no_stall() -> None:
    reader = FakeReader(5, 9)
    watch = make_watch(reader)

    for position in (6, 7, 8):
        await watch.saw(0)
        reader.at = position
    await watch.saw(1)
    await watch.saw(0)


async def test_nothing_to_read_is_no_stall() -> None:
    watch = make_watch(FakeReader(9, 9))

    for _ in range(3):
        await watch.saw(0)


async def test_a_paused_consumer_is_left_alone() -> None:
    reader = FakeReader(5, 9)
    reader.places = frozenset()
    watch = make_watch(reader)

    for _ in range(3):
        await watch.saw(0)


async def test_a_broker_that_does_not_answer_is_an_error() -> None:
    reader = FakeReader(5, 9)
    reader.hangs = True

    with pytest.raises(LogError, match="did not answer"):
        await make_watch(reader).saw(0)


async def test_nobody_is_asked_before_the_patience_is_over() -> None:
    reader = FakeReader(5, 9)
    reader.hangs = True

    await StallWatch(reader, patience_s=60.0).saw(0)
