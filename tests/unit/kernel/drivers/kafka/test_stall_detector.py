"""A consumer that stands still although there is something to read is told from one that is idle or busy."""

import asyncio
import time
from collections.abc import Collection

import pytest

from crossdock.kernel.drivers.kafka.broker_health import BrokerWatch
from crossdock.kernel.drivers.kafka.stall_detector import Place, StallWatch
from crossdock.kernel.process.errors import LogError

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


async def never_asked() -> bool:
    raise AssertionError


def make_watch(
    reader: FakeReader, *, is_up: bool = True, broker: BrokerWatch | None = None
) -> StallWatch:
    async def ask() -> bool:
        return is_up

    return StallWatch(reader, ask, patience_s=0.0, ask_limit_s=0.01, broker=broker or BrokerWatch())


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


async def test_a_broker_that_answers_others_and_not_us_is_an_error() -> None:
    reader = FakeReader(5, 9)
    reader.hangs = True

    with pytest.raises(LogError, match="answers new connections"):
        await make_watch(reader).saw(0)


async def test_a_broker_that_comes_back_in_the_middle_of_a_question_is_asked_again() -> None:
    reader = FakeReader(5, 9)
    reader.hangs = True

    async def is_back() -> bool:
        reader.hangs = False
        return True

    watch = StallWatch(reader, is_back, patience_s=0.0, ask_limit_s=0.01, broker=BrokerWatch())
    await watch.saw(0)

    with pytest.raises(LogError, match="no progress"):
        await watch.saw(0)


async def test_while_the_broker_is_away_a_consumer_waits_and_says_so() -> None:
    """Ending it would throw away what it has in flight, and a new one would not get further."""
    reader, broker = FakeReader(5, 9), BrokerWatch()
    watch = make_watch(reader, is_up=False, broker=broker)
    reader.hangs = True

    for _ in range(3):
        await watch.saw(0)
    assert broker.why_not() == "no broker answers"

    await watch.saw(1)
    assert broker.why_not() is None


async def test_a_consumer_that_is_closed_during_an_outage_says_nothing_of_the_broker_any_more() -> (
    None
):
    """A shard that was fenced meanwhile opens others; nobody would ever see the old one answered."""
    reader, broker = FakeReader(5, 9), BrokerWatch()
    watch = make_watch(reader, is_up=False, broker=broker)
    reader.hangs = True
    await watch.saw(0)
    assert broker.why_not() == "no broker answers"

    watch.close()

    assert broker.why_not() is None


def test_a_broker_that_owes_an_answer_for_long_is_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker = BrokerWatch()
    with broker.owing():
        assert broker.why_not() is None
        began = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: began + 11)
        assert broker.why_not() == "Kafka has not answered for 11 s"

    assert broker.why_not() is None


async def test_after_an_outage_a_consumer_that_does_not_go_on_is_a_stall() -> None:
    reader = FakeReader(5, 9)
    watch = make_watch(reader, is_up=False)
    reader.hangs = True
    await watch.saw(0)
    reader.hangs = False
    await watch.saw(0)

    with pytest.raises(LogError, match="no progress"):
        await watch.saw(0)


async def test_nobody_is_asked_before_the_patience_is_over() -> None:
    reader = FakeReader(5, 9)
    reader.hangs = True

    await StallWatch(reader, never_asked, patience_s=60.0).saw(0)
