"""Insert, then commit: a refused insert is tried again, and nothing is committed meanwhile."""

import asyncio
from collections.abc import Collection, Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from typing_extensions import override

from crossdock.kernel.process.clock import ManualClock
from crossdock.kernel.process.errors import (
    RowsRefusedError,
    TableError,
    TooManyDeadLettersError,
    UndecodableError,
)
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


class PickyTables(FakeTables):
    """Refuses every insert that has one of the `unfit` rows, and counts the inserts."""

    def __init__(self, history: HISTORY, unfit: Collection[int]) -> None:
        super().__init__(history)
        self._unfit = unfit
        self.tries = 0

    @override
    async def insert(self, table: str, rows: Sequence[Row]) -> None:
        self.tries += 1
        if any(row[0] in self._unfit for row in rows):
            raise RowsRefusedError("a year that has five digits")
        await super().insert(table, rows)


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


@given(st.sets(st.integers(0, 199), max_size=5))
async def test_rows_that_the_table_refuses_are_found_among_many_and_all_others_are_inserted(
    unfit: set[int],
) -> None:
    history, stop = HISTORY(), asyncio.Event()
    tables = PickyTables(history, unfit)
    source = FakeSource(history, [[make_record(n, b"%d" % n) for n in range(200)]], stop)
    policy = CutPolicy(max_rows=10_000, max_bytes=10**9, max_age_s=1000)
    sink = make_sink(source, history, policy=policy, health=Health("x", 0), tables=tables)

    with capture_logs():  # the traceback of each refused row takes long to print
        await sink.run(stop)

    inserted = [row[0] for kind, what in history if kind == "insert" for row in what[1]]  # type: ignore[index]
    kept = [value for kind, what in history if kind == "kept" for value in what]  # type: ignore[attr-defined]
    assert sorted(inserted) == sorted(set(range(200)) - unfit)
    assert sorted(kept) == sorted(b"%d" % n for n in unfit)
    assert history[-1] == ("commit", {("topic", 0): 200})
    assert tables.tries <= 1 + 16 * len(unfit)


async def test_a_record_whose_rows_cannot_be_made_is_kept_and_the_next_one_inserted() -> None:
    history, stop = HISTORY(), asyncio.Event()
    source = FakeSource(history, [[make_record(0, b"far"), make_record(1)]], stop)

    def decode_or_fail(record: Record) -> Iterable[tuple[str, Sequence[Row]]]:
        if record.value == b"far":
            raise OverflowError("date value out of range")
        return decode(record)

    dead = DeadLetters("test", ManualClock())
    policy = CutPolicy(max_rows=10, max_bytes=10**9, max_age_s=1000)
    tables, health = FakeTables(history), Health("x", 0)
    sink = Sink(
        source, tables, decode_or_fail, FakeLog(history), dead, policy=policy, health=health
    )

    await sink.run(stop)

    assert history == [
        ("insert", ("rows", [(1,)])),
        ("kept", [b"far"]),
        ("commit", {("topic", 0): 2}),
    ]
