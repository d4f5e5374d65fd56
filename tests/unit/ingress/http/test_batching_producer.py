"""The outbox."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from crossdock.ingress.http.batching_producer import MAX_GROUP_BYTES, Outbox
from crossdock.ingress.values.errors import RefusedError
from crossdock.kernel.process.errors import LogError
from crossdock.kernel.process.record import Outgoing


class SlowLog:
    """Sends when it is let; refuses when told."""

    def __init__(self) -> None:
        self.groups: list[list[bytes | None]] = []
        self.sending = asyncio.Event()
        self.free = asyncio.Event()
        self.free.set()
        self.is_down = False

    async def send(self, messages: Sequence[Outgoing]) -> None:
        self.groups.append([message.key for message in messages])
        self.sending.set()
        await self.free.wait()
        if self.is_down:
            raise LogError("down")


def make_message(key: bytes, size: int = 1) -> Outgoing:
    return Outgoing("t", key, b"x" * size, [])


@asynccontextmanager
async def running(log: SlowLog, timeout_s: float = 5) -> AsyncIterator[Outbox]:
    outbox = Outbox(log, timeout_s=timeout_s)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(outbox.run(stop))
        try:
            yield outbox
        finally:
            log.free.set()
            stop.set()
            outbox.wake()


async def test_what_comes_while_a_send_is_under_way_goes_as_one_group() -> None:
    log = SlowLog()
    log.free.clear()
    async with running(log) as outbox, asyncio.TaskGroup() as group:
        group.create_task(outbox.publish(make_message(b"a")))
        await log.sending.wait()
        for key in (b"b", b"c"):
            group.create_task(outbox.publish(make_message(key)))
        await asyncio.sleep(0)
        log.free.set()

    assert log.groups == [[b"a"], [b"b", b"c"]]


async def test_a_group_is_bounded() -> None:
    log = SlowLog()
    async with running(log) as outbox, asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(outbox.publish(make_message(b"%d" % number, 900_000)))

    assert [key for keys in log.groups for key in keys] == [b"%d" % n for n in range(20)]
    assert max(map(len, log.groups)) == MAX_GROUP_BYTES // 900_000


async def test_a_record_that_is_too_large_is_refused_alone() -> None:
    log = SlowLog()
    async with running(log) as outbox, asyncio.TaskGroup() as group:
        for key in (b"a", b"b"):
            group.create_task(outbox.publish(make_message(key)))
        with pytest.raises(RefusedError, match="the limit is 1000000") as caught:
            await outbox.publish(make_message(b"large", 1_000_001))

    assert caught.value.status == 413
    assert {key for keys in log.groups for key in keys} == {b"a", b"b"}


async def test_everybody_in_a_refused_group_is_told() -> None:
    log = SlowLog()
    log.is_down = True
    async with running(log) as outbox:
        with pytest.raises(RefusedError) as caught:
            await outbox.publish(make_message(b"a"))
        log.is_down = False
        await outbox.publish(make_message(b"b"))

    assert caught.value.status == 503
    assert "retry-after" in caught.value.headers


async def test_a_caller_that_gave_up_is_not_sent() -> None:
    log = SlowLog()
    log.free.clear()
    async with running(log, timeout_s=0.05) as outbox, asyncio.TaskGroup() as group:
        for key in (b"a", b"b"):
            group.create_task(refused(outbox, key))
            await asyncio.sleep(0.01)

    assert log.groups == [[b"a"]]


async def test_a_record_that_was_on_its_way_when_its_caller_was_refused_is_withdrawn() -> None:
    """Kafka came back and a request answered with 503 was called and paid for, beside its caller's retry."""
    log = SlowLog()
    log.free.clear()
    async with running(log, timeout_s=0.05) as outbox, asyncio.TaskGroup() as group:
        for key in (b"a", b"unsent"):
            group.create_task(refused(outbox, key, withdrawal=make_message(b"not " + key)))
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        log.free.set()

    assert log.groups == [[b"a"], [b"not a"]]


async def test_what_the_broker_refused_is_withdrawn_and_what_it_took_is_not() -> None:
    log = SlowLog()
    async with running(log) as outbox:
        await outbox.publish(make_message(b"a"), withdrawal=make_message(b"not a"))
        log.is_down = True
        await refused(outbox, b"b", withdrawal=make_message(b"not b"))

    assert log.groups == [[b"a"], [b"b"], [b"not b"]]


async def test_while_the_broker_owes_an_answer_callers_are_told_at_once() -> None:
    """Nobody waits, nothing piles up; and the first acknowledgement ends it."""
    log = SlowLog()
    log.free.clear()
    async with running(log, timeout_s=0.05) as outbox:
        await refused(outbox, b"a")
        await asyncio.sleep(0.01)
        assert outbox.is_stuck

        async with asyncio.timeout(0.04):
            await refused(outbox, b"b")
        log.free.set()
        await asyncio.sleep(0.01)
        await outbox.publish(make_message(b"c"))

    assert log.groups == [[b"a"], [b"c"]]


async def refused(outbox: Outbox, key: bytes, withdrawal: Outgoing | None = None) -> None:
    with pytest.raises(RefusedError):
        await outbox.publish(make_message(key), withdrawal=withdrawal)
