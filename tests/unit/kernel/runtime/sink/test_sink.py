"""Insert, then commit: a refused insert is tried again, and nothing is committed meanwhile."""

import asyncio
from collections.abc import Iterable, Sequence

import pytest
from typing_extensions import override

from crossdock.kernel.process.clock import ManualClock
from crossdock.kernel.process.errors import TableError, TooManyDeadLettersError, UndecodableError
from crossdock.kernel.process.health import Health
from crossdock.kernel.process.record import Outgoing, Record, Row
from crossdock.kernel.runtime.dead_letters import DeadLetters
from crossdock.kernel.runtime.sink.batch import CutPolicy
from crossdock.kernel.runtime.sink.sink import Place, Sink

HISTORY = list[tuple[str, object]]


class FakeSource:
    """Gives its polls one after the other, then ends the sink."""

    def __init__(
        self, history: HISTORY, polls: Iterable[list[Record]], stop: asyncio.Event
    ) -> None:
        self._history = history
        self._polls = iter(polls)
        self._stop = stop

    async def poll(self, *, max_records: int, timeout_ms: int) -> list[Record]:
        await asyncio.sleep(0)
        records = next(self._polls, None)
        if records is None:
            self._stop.set()
        return records or []

    async def commit(self, position: dict[Place, int]) -> bool:
        self._history.append(("commit", position))
        return True


class FakeTables:
    def __init__(self, history: HISTORY, refusals: int = 0) -> None:
        self._history = history
        self._refusals = refusals

    async def insert(self, table: str, rows: Sequence[Row]) -> None:
        if self._refusals:
            self._refusals -= 1
            self._history.append(("refused", table))
            raise TableError("no")
        self._history.append(("insert", (table, list(rows))))


class FakeLog:
    def __init__(self, history: HISTORY) -> None:
        self._history = history

    async def send(self, messages: Sequence[Outgoing]) -> None:
        if messages:
            self._history.append(("kept", [message.value for message in messages]))


def decode(record: Record) -> Iterable[tuple[str, Sequence[Row]]]:
    if record.value == b"bad":
        raise UndecodableError(record.topic, record.partition, record.offset, "not ours")
    return [("rows", [(record.offset,)])]


def make_sink(
    source: FakeSource,
    history: HISTORY,
    *,
    policy: CutPolicy,
    health: Health,
    tables: FakeTables | None = None,
) -> Sink:
    return Sink(
        source,
        tables or FakeTables(history),
        decode,
        FakeLog(history),
        DeadLetters("test", ManualClock()),
        policy=policy,
        health=health,
        retry_base_s=0.001,
    )


def make_record(offset: int, value: bytes = b"value") -> Record:
    return Record("topic", 0, offset, 0, b"", value, [])


async def run(
    polls: Iterable[list[Record]], *, policy: CutPolicy, refusals: int = 0
) -> tuple[HISTORY, Health, Sink]:
    history, stop, health = HISTORY(), asyncio.Event(), Health("x", 0)
    source = FakeSource(history, polls, stop)
    tables = FakeTables(history, refusals)
    sink = make_sink(source, history, policy=policy, health=health, tables=tables)
    await sink.run(stop)
    return history, health, sink


async def test_rows_are_inserted_before_their_offset_is_committed() -> None:
    history, _, _ = await run(
        [[make_record(0), make_record(1)], [make_record(2)]], policy=CutPolicy(max_rows=2)
    )

    assert history == [
        ("insert", ("rows", [(0,), (1,)])),
        ("commit", {("topic", 0): 2}),
        ("insert", ("rows", [(2,)])),
        ("commit", {("topic", 0): 3}),
    ]


async def test_a_refused_insert_is_tried_again_and_nothing_is_committed_meanwhile() -> None:
    history, health, _ = await run([[make_record(0)]], policy=CutPolicy(max_rows=1), refusals=2)

    assert [what for what, _ in history] == ["refused", "refused", "insert", "commit"]
    assert health.reasons == ["start: starting"]


async def test_what_is_taken_waits_until_it_is_inserted() -> None:
    seen: list[int] = []
    history, stop = HISTORY(), asyncio.Event()

    class Watched(FakeTables):
        @override
        async def insert(self, table: str, rows: Sequence[Row]) -> None:
            seen.append(sink.waiting)
            await super().insert(table, rows)

    source = FakeSource(history, [[make_record(0), make_record(1, b"bad")]], stop)
    sink = make_sink(
        source, history, policy=CutPolicy(), health=Health("x", 0), tables=Watched(history)
    )

    await sink.run(stop)

    assert seen == [2]
    assert sink.waiting == 0


async def test_what_cannot_be_read_is_kept_before_its_offset_is_committed() -> None:
    polls = [[make_record(0), make_record(1, b"bad"), make_record(2)]]

    history, _, _ = await run(polls, policy=CutPolicy(max_rows=2))

    assert history == [
        ("insert", ("rows", [(0,), (2,)])),
        ("kept", [b"bad"]),
        ("commit", {("topic", 0): 3}),
    ]


async def test_a_sink_that_can_read_next_to_nothing_stops() -> None:
    with pytest.raises(TooManyDeadLettersError, match="nearly no record"):
        await run([[make_record(n, b"bad") for n in range(100)]], policy=CutPolicy())


async def test_nothing_polled_is_nothing_committed() -> None:
    history, _, _ = await run([[], []], policy=CutPolicy())

    assert history == []


async def test_before_a_rebalance_what_is_not_inserted_is_forgotten() -> None:
    history, stop = HISTORY(), asyncio.Event()
    sinks: list[Sink] = []

    class Rebalanced(FakeSource):
        @override
        async def poll(self, *, max_records: int, timeout_ms: int) -> list[Record]:
            records = await super().poll(max_records=max_records, timeout_ms=timeout_ms)
            if not records:
                await sinks[0].forget([])
            return records

    source = Rebalanced(history, [[make_record(0)]], stop)
    sinks.append(make_sink(source, history, policy=CutPolicy(), health=Health("x", 0)))

    await sinks[0].run(stop)

    assert history == []
