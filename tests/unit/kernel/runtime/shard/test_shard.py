"""The loop of a shard's partition, and its transactions one after the other. The broker's part: tests/integration."""

import asyncio
from collections.abc import Collection, Iterable, Sequence

import pytest

from crossdock.kernel.drivers.kafka.consumer import Place
from crossdock.kernel.process.clock import ManualClock
from crossdock.kernel.process.errors import LogError
from crossdock.kernel.process.record import Outgoing, Page, Record, Step
from crossdock.kernel.runtime.shard.isolation import Applying
from crossdock.kernel.runtime.shard.partition_loop import PartitionLoop
from crossdock.kernel.runtime.shard.sources import Sources, TopicSource
from crossdock.kernel.runtime.shard.spec import ShardSpec
from crossdock.kernel.runtime.shard.transactions import Commits


class Gate:
    """A producer whose transactions wait until `let_go`; then they fail if they shall."""

    def __init__(self, *, is_open: bool = False) -> None:
        self.let_go = asyncio.Event()
        self.fails = False
        self.begun: list[Sequence[Outgoing]] = []
        self.ended = 0
        if is_open:
            self.let_go.set()

    async def commit(self, messages: Sequence[Outgoing]) -> None:
        self.begun.append(messages)
        await self.let_go.wait()
        if self.fails:
            raise LogError("refused")
        self.ended += 1


class Queue:
    """A consumer that brings `count` records, one at a time, and then nothing any more."""

    def __init__(self, count: int) -> None:
        self.records = [Record("source", 0, n, 0, b"", b"%d" % n, []) for n in range(count)]

    async def poll(self, *, max_records: int, timeout_ms: int) -> list[Record]:
        if not self.records:
            await asyncio.sleep(timeout_ms)
        return [self.records.pop(0)] if max_records else []

    def assignment(self) -> frozenset[Place]:
        return frozenset({("source", 0)})

    def lag(self) -> dict[str, int]:
        return {"source": len(self.records)}

    def pause_only(self, places: Collection[Place]) -> None:
        """Nothing is held back here."""

    async def end_offsets(self, places: Collection[Place]) -> dict[Place, int]:
        return {place: 1000 + len(self.records) for place in places}


class Noting:
    """Notes what it was given, and what became visible."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self.applying: Applying = None
        self.given: list[int] = []
        self.visible = 0

    def restore(self, pages: Iterable[Page]) -> None:
        """There are none."""

    async def step(self, records: Sequence[Record]) -> Step:
        self.given += [record.offset for record in records]
        return Step([Outgoing("output", b"", record.value, []) for record in records], [])

    async def set_aside(self, record: Record, error: Exception) -> list[Outgoing]:
        return [Outgoing("dead", b"", record.value, [])]

    def committed(self) -> None:
        self.visible += 1

    async def close(self) -> None:
        """Nothing runs."""


class Running:
    """A loop over a queue, in the background."""

    def __init__(self, *, count: int, is_ahead: bool) -> None:
        self.shard, self.gate = Noting(), Gate()
        spec = ShardSpec("group", ("source",), "state", is_ahead=is_ahead, quick_s=0.0)
        self.loop = PartitionLoop(spec, 0, lambda _: self.shard, "nowhere", ManualClock())
        self.source = TopicSource(Queue(count))
        sources = Sources([self.source], self.shard.wake)
        self.task = asyncio.ensure_future(self.loop.steps(sources, self.gate))  # noqa: TID251  # awaited by `end`

    async def settle(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)

    async def end(self) -> None:
        self.loop.end()
        try:
            await self.task
        finally:
            await self.source.close()


async def test_a_step_in_turn_waits_until_the_last_one_is_committed() -> None:
    running = Running(count=3, is_ahead=False)
    await running.settle()
    assert (running.shard.given, len(running.gate.begun)) == ([0], 1)

    running.gate.let_go.set()
    await running.settle()

    assert (running.shard.given, running.gate.ended) == ([0, 1, 2], 3)
    await running.end()


async def test_a_step_ahead_is_worked_out_while_the_last_one_is_committed_and_waits_for_it() -> (
    None
):
    running = Running(count=3, is_ahead=True)
    await running.settle()
    assert running.shard.given == [0, 1]
    assert (len(running.gate.begun), running.shard.visible) == (1, 0)

    running.gate.let_go.set()
    await running.settle()

    assert (running.shard.given, running.gate.ended) == ([0, 1, 2], 3)
    await running.end()
    sent = [m.value for messages in running.gate.begun for m in messages if m.topic == "output"]
    assert sent == [b"0", b"1", b"2"]


async def test_a_transaction_that_failed_ends_the_loop_and_the_step_ahead_is_never_sent() -> None:
    running = Running(count=3, is_ahead=True)
    await running.settle()
    running.gate.fails = True
    running.gate.let_go.set()

    with pytest.raises(LogError, match="refused"):
        await running.end()

    assert (len(running.gate.begun), running.shard.visible) == (1, 0)


async def test_a_loop_that_is_told_to_end_waits_for_its_transaction() -> None:
    running = Running(count=1, is_ahead=True)
    await running.settle()
    running.loop.end()
    await running.settle()
    assert not running.task.done()

    running.gate.let_go.set()
    await running.end()

    assert running.gate.ended == 1


async def test_the_effects_of_a_transaction_come_after_it_and_those_of_nothing_at_once() -> None:
    gate = Gate()
    effects: list[int] = []
    async with Commits(gate, lambda: effects.append(gate.ended)) as commits:
        commits.begin([])
        await commits.settle()
        commits.begin([Outgoing("output", b"", b"", [])])
        gate.let_go.set()

    assert effects == [0, 1]


async def test_an_error_beside_a_transaction_cancels_it() -> None:
    gate = Gate()
    effects: list[int] = []

    async def fail_beside() -> None:
        async with Commits(gate, lambda: effects.append(1)) as commits:
            commits.begin([Outgoing("output", b"", b"", [])])
            await asyncio.sleep(0)
            raise LookupError

    with pytest.raises(LookupError):
        await fail_beside()

    assert (len(gate.begun), gate.ended, effects) == (1, 0, [])


async def test_between_two_transactions_lies_the_time_that_is_asked_for() -> None:
    gate = Gate(is_open=True)
    loop = asyncio.get_running_loop()
    async with Commits(gate, lambda: None) as commits:
        commits.begin([Outgoing("output", b"", b"", [])])
        await commits.settle()
        ended = loop.time()
        await commits.rest(0.05)

    assert loop.time() - ended >= 0.045


async def test_what_came_from_every_topic_is_taken_together() -> None:
    stop, wake = asyncio.Event(), asyncio.Event()
    queues = [Queue(2), Queue(0), Queue(1)]
    opened = [TopicSource(queue) for queue in queues]
    sources = Sources(opened, wake)

    found = await sources.next(stop)
    await asyncio.sleep(0)
    found += sources.take()

    assert sorted(record.offset for record in found) == [0, 0, 1]
    assert await sources.ends() == {("source", 0): 1000}
    for source in opened:
        await source.close()


async def test_a_wake_ends_a_wait_and_loses_nothing_that_comes_meanwhile() -> None:
    wake = asyncio.Event()
    source = TopicSource(Queue(0))
    sources = Sources([source], wake)
    wake.set()

    assert await sources.next(asyncio.Event()) == []
    assert not wake.is_set()
    await source.close()
