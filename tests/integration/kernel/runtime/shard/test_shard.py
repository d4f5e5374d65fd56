"""The shape "shard" on a real broker: outputs, state and positions appear together, or not at all."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import pytest

from crossdock.kernel.drivers.kafka import open_producer, open_transactional_producer
from crossdock.kernel.process.errors import FencedError
from crossdock.kernel.process.health import Health
from crossdock.kernel.process.record import MAX_RECORD_BYTES, Outgoing, Page, Record, Step
from crossdock.kernel.process.timing import Timing
from crossdock.kernel.runtime.shard.isolation import Applying
from crossdock.kernel.runtime.shard.partition_loop import POSITIONS_KEY, read_pages
from crossdock.kernel.runtime.shard.shard import ShardWorker
from crossdock.kernel.runtime.shard.spec import ShardSpec
from support.engines import RunningKafka
from support.topics import (
    abort,
    eventually,
    fresh,
    in_background,
    make_topic,
    put,
    read_all,
    values_of,
)


class Counting:
    """Counts how often each value came, in a page of its own; tells every count on the output."""

    def __init__(self, partition: int, output: str) -> None:
        self.wake = asyncio.Event()
        self.applying: Applying = None
        self.partition = partition
        self.output = output
        self.counts: Counter[bytes] = Counter()
        self.steps = 0
        self.visible = 0
        self.fail_on: bytes | None = None
        self.names_records = True
        self.too_large: bytes | None = None
        """Once this value was counted, the state has a page that no record takes."""
        self.before_commit: Callable[[], None] = lambda: None
        self.was_closed = False

    def restore(self, pages: Iterable[Page]) -> None:
        self.counts = Counter({page.key: int(page.value or b"0") for page in pages})

    async def step(self, records: Sequence[Record]) -> Step:
        step = Step()
        for record in records:
            self.applying = record if self.names_records else None
            value = record.value or b""
            self.counts[value] += 1
            if value == self.fail_on:
                raise LookupError("a bug of ours")
            count = b"%d" % self.counts[value]
            step.pages.append(Page(value, count))
            step.outgoing.append(Outgoing(self.output, value, value + b"=" + count, [], 0))
        self.applying = None
        self.before_commit()
        if self.too_large in self.counts:
            step.pages.append(Page(b"large", b"x" * MAX_RECORD_BYTES))
        return step

    async def set_aside(self, record: Record, error: Exception) -> list[Outgoing]:
        return [Outgoing(self.output, record.key, b"aside:" + (record.value or b""), [], 0)]

    def committed(self) -> None:
        self.steps += 1
        self.visible = self.counts.total()

    async def close(self) -> None:
        self.was_closed = True


class Shards:
    """A shard stage with its topics; `worker` starts one of its processes, here as a task."""

    def __init__(self, kafka: RunningKafka, spec: ShardSpec, output: str) -> None:
        self.kafka = kafka
        self.spec = spec
        self.source, self.state, self.output = spec.sources[0], spec.state, output
        self.opened: list[Counting] = []
        self.prepare: Callable[[Counting], None] = lambda _: None

    @classmethod
    async def make(
        cls, kafka: RunningKafka, *, is_ahead: bool = False, partitions: int = 1
    ) -> "Shards":
        servers = kafka.bootstrap_servers
        source = await make_topic(servers, "source", partitions=partitions)
        state = await make_topic(servers, "state", partitions=partitions, compact=True)
        spec = ShardSpec(fresh("group"), (source,), state, is_ahead=is_ahead)
        return cls(kafka, spec, await make_topic(servers, "output"))

    def open(self, partition: int) -> Counting:
        shard = Counting(partition, self.output)
        self.prepare(shard)
        self.opened.append(shard)
        return shard

    def worker(self, instance: str = "0") -> ShardWorker:
        return ShardWorker(
            self.spec,
            self.open,
            servers=self.kafka.bootstrap_servers,
            instance=instance,
            health=Health("test", 0),
            timing=Timing(session_ms=4000),
        )

    async def put(self, *values: bytes, partition: int = 0) -> None:
        await put(self.kafka.bootstrap_servers, self.source, *values, partition=partition)

    async def outputs(self) -> list[bytes]:
        return await values_of(self.kafka.bootstrap_servers, self.output)

    async def pages(self, partition: int = 0) -> dict[bytes, bytes]:
        return await read_pages(self.kafka.bootstrap_servers, (self.state, partition))

    @property
    def total(self) -> int:
        return sum(shard.visible for shard in self.opened[-1:])


both = pytest.mark.parametrize("is_ahead", [False, True], ids=["in turn", "ahead"])


@both
async def test_outputs_state_and_positions_become_visible_together(
    kafka: RunningKafka, is_ahead: bool
) -> None:
    shards = await Shards.make(kafka, is_ahead=is_ahead)
    await shards.put(b"a", b"b", b"a")

    async with in_background(shards.worker().run):
        await eventually(lambda: shards.total == 3, "three values counted")

    assert await shards.outputs() == [b"a=1", b"b=1", b"a=2"]
    pages = await shards.pages()
    assert json.loads(pages.pop(POSITIONS_KEY)) == {shards.source: 3}
    assert pages == {b"a": b"2", b"b": b"1"}
    assert shards.opened[0].was_closed


@both
async def test_a_restart_goes_on_at_the_positions_in_the_state(
    kafka: RunningKafka, is_ahead: bool
) -> None:
    shards = await Shards.make(kafka, is_ahead=is_ahead)
    await shards.put(b"a", b"b")
    async with in_background(shards.worker().run):
        await eventually(lambda: shards.total == 2, "two values counted")
    shards.spec = replace(shards.spec, group=fresh("group"))  # knows no offsets

    await shards.put(b"a")
    async with in_background(shards.worker().run):
        await eventually(lambda: shards.total == 3, "the third value counted")

    assert await shards.outputs() == [b"a=1", b"b=1", b"a=2"]


@both
async def test_what_a_crash_did_not_commit_leaves_nothing_and_is_done_again(
    kafka: RunningKafka, is_ahead: bool
) -> None:
    shards = await Shards.make(kafka, is_ahead=is_ahead)

    def crash() -> None:
        if shards.opened[0].counts:
            raise ConnectionAbortedError("as if killed")

    shards.prepare = lambda shard: setattr(shard, "before_commit", crash)
    await shards.put(b"a")
    with pytest.raises(ExceptionGroup):
        async with in_background(shards.worker().run) as stop:
            await stop.wait()
    assert await shards.outputs() == []

    shards.prepare = lambda _: None
    async with in_background(shards.worker().run):
        await eventually(lambda: shards.total == 1, "the value counted")

    assert await shards.outputs() == [b"a=1"]


async def test_a_zombie_is_fenced_and_nothing_of_it_is_visible(kafka: RunningKafka) -> None:
    servers, topic = kafka.bootstrap_servers, await make_topic(kafka.bootstrap_servers, "topic")
    name = fresh("transaction")
    async with open_transactional_producer(servers, client="old", transactional_id=name) as old:
        await old.commit([Outgoing(topic, b"k", b"before", [])])
        async with open_transactional_producer(servers, client="new", transactional_id=name) as new:
            await new.commit([Outgoing(topic, b"k", b"after", [])])

            with pytest.raises(FencedError):
                await old.commit([Outgoing(topic, b"k", b"zombie", [])])

    assert await values_of(servers, topic) == [b"before", b"after"]


@both
async def test_a_worker_whose_partition_was_taken_over_lets_go_quietly_and_takes_it_anew(
    kafka: RunningKafka, is_ahead: bool
) -> None:
    shards = await Shards.make(kafka, is_ahead=is_ahead)
    name = f"{shards.spec.group}.0"
    async with in_background(shards.worker().run):
        await shards.put(b"a")
        await eventually(lambda: shards.total == 1, "the value counted")
        async with open_transactional_producer(
            kafka.bootstrap_servers, client="thief", transactional_id=name
        ) as thief:
            await thief.commit([Outgoing(shards.output, b"", b"thief", [])])

        await shards.put(b"b")
        await eventually(lambda: len(shards.opened) == 2, "the partition being opened again")
        await eventually(lambda: shards.total == 2, "both values known")

    assert await shards.outputs() == [b"a=1", b"thief", b"b=1"]


async def test_readers_never_see_an_aborted_step(kafka: RunningKafka) -> None:
    servers, topic = kafka.bootstrap_servers, await make_topic(kafka.bootstrap_servers, "topic")
    async with open_transactional_producer(
        servers, client="t", transactional_id=fresh("t")
    ) as producer:
        await abort(producer, Outgoing(topic, b"k", b"aborted", []))
        await producer.commit([Outgoing(topic, b"k", b"committed", [])])
        await producer.commit([])

    assert await values_of(servers, topic) == [b"committed"]


async def test_only_changed_pages_are_written_and_an_emptied_one_is_gone(
    kafka: RunningKafka,
) -> None:
    shards = await Shards.make(kafka)
    async with in_background(shards.worker().run):
        for number, value in enumerate((b"a", b"b", b"a")):
            await shards.put(value)
            await eventually(lambda n=number: shards.total == n + 1, "the value counted")  # type: ignore[misc]

    written = Counter(r.key for r in await read_all(kafka.bootstrap_servers, shards.state))
    assert (written[b"a"], written[b"b"]) == (2, 1)

    async with open_producer(kafka.bootstrap_servers, client="test") as producer:
        await producer.send([Outgoing(shards.state, b"a", None, [], 0)])
    assert set(await shards.pages()) == {b"b", POSITIONS_KEY}


@both
async def test_two_workers_share_the_partitions_and_count_each_value_once(
    kafka: RunningKafka, is_ahead: bool
) -> None:
    shards = await Shards.make(kafka, is_ahead=is_ahead, partitions=2)
    values = [b"%d" % n for n in range(60)]
    async with in_background(shards.worker("0").run):
        await shards.put(*values[:20], partition=0)
        async with in_background(shards.worker("1").run):
            for number in range(20, 60, 4):
                await shards.put(*values[number : number + 2], partition=0)
                await shards.put(*values[number + 2 : number + 4], partition=1)
                await asyncio.sleep(0.05)
            await eventually(
                lambda: len({s.partition for s in shards.opened if not s.was_closed}) == 2,
                "both partitions being open",
            )
        await shards.put(b"last", partition=0)
        await shards.put(b"last", partition=1)

        async def all_there() -> None:
            while len(await shards.outputs()) < 62:  # noqa: ASYNC110  # another process's state
                await asyncio.sleep(0.1)

        await asyncio.wait_for(all_there(), 30)

    counted = Counter(await shards.outputs())
    assert counted == Counter([value + b"=1" for value in values] + [b"last=1"] * 2)


POISONS: dict[str, dict[str, object]] = {
    "named": {"fail_on": b"poison"},
    "not named": {"fail_on": b"poison", "names_records": False},
    "too large": {"too_large": b"poison"},
}


@both
@pytest.mark.parametrize("poison", POISONS.values(), ids=POISONS)
async def test_a_record_that_makes_a_step_fail_leaves_no_trace_but_its_dead_letter(
    kafka: RunningKafka, is_ahead: bool, poison: dict[str, object]
) -> None:
    """The step is undone, also what it had applied before; every other record counts once."""
    shards = await Shards.make(kafka, is_ahead=is_ahead)
    shards.prepare = lambda shard: vars(shard).update(poison)
    values = [b"a", b"b", b"poison", b"a", b"poison", b"b"]
    await shards.put(*values)

    async with in_background(shards.worker().run):
        await eventually(lambda: shards.total == 4, "all sound records")
        await shards.put(b"c")
        await eventually(lambda: shards.total == 5, "a record after them")

    outputs = await shards.outputs()
    assert [value for value in outputs if not value.startswith(b"aside")] == [
        b"a=1", b"b=1", b"a=2", b"b=2", b"c=1",
    ]  # fmt: skip
    assert outputs.count(b"aside:poison") == 2
    pages = await shards.pages()
    assert json.loads(pages.pop(POSITIONS_KEY)) == {shards.source: 7}
    assert pages == {b"a": b"2", b"b": b"2", b"c": b"1"}


async def test_a_wake_makes_a_step_at_once_without_records(kafka: RunningKafka) -> None:
    shards = await Shards.make(kafka)
    async with in_background(shards.worker().run):
        await eventually(lambda: bool(shards.opened and shards.opened[0].steps), "a first step")
        shard = shards.opened[0]
        steps = shard.steps

        shard.wake.set()
        await asyncio.sleep(0.2)

        assert steps < shard.steps <= steps + 3


async def test_a_topic_with_nothing_in_it_takes_no_part_in_how_another_one_is_read(
    kafka: RunningKafka,
) -> None:
    shards = await Shards.make(kafka)
    empty = await make_topic(kafka.bootstrap_servers, "empty")
    shards.spec = replace(shards.spec, sources=(empty, shards.source))
    async with in_background(shards.worker().run):
        await shards.put(b"a")
        await eventually(lambda: shards.total == 1, "a value of the one counted")
        await put(kafka.bootstrap_servers, empty, b"b")
        await eventually(lambda: shards.total == 2, "a value of the other counted")

    pages = await shards.pages()
    assert json.loads(pages[POSITIONS_KEY]) == {empty: 1, shards.source: 1}
