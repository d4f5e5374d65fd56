"""The shape "sink": poll, cut a batch by rows, bytes or age, insert, publish dead letters, then commit.

A row that the table refuses is found by halving the batch. Its record is a dead letter; all other rows are inserted.

Offsets are committed after the insert was acknowledged, so a crash in between inserts some rows again. The sorting keys
of the tables hold the identity of a row, so a repeated row collapses, in whatever batches it comes.
"""

import asyncio
import random
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

import structlog

from crossdock.kernel.process.backoff import backoff_s
from crossdock.kernel.process.errors import (
    RowsRefusedError,
    TableError,
    UndecodableError,
    is_poison,
)
from crossdock.kernel.process.health import Health
from crossdock.kernel.process.record import Outgoing, Record, Row
from crossdock.kernel.runtime.dead_letters import DeadLetters
from crossdock.kernel.runtime.sink.batch import Buffer, CutPolicy

log: structlog.stdlib.BoundLogger = structlog.get_logger()

Place = tuple[str, int]
MAX_RECORDS = 500
RETRY_BASE_S = 0.5
RETRY_LIMIT_S = 10.0


class SinkSource(Protocol):
    """The part of `GroupConsumer` that a sink uses."""

    async def poll(self, *, max_records: int, timeout_ms: int) -> list[Record]: ...
    async def commit(self, position: dict[Place, int]) -> bool: ...


class SinkTables(Protocol):
    """The part of a table store that a sink uses."""

    async def insert(self, table: str, rows: Sequence[Row]) -> None: ...


Decode = Callable[[Record], Iterable[tuple[str, Sequence[Row]]]]
"""Returns the rows of a record by table. A record that it cannot read (UndecodableError) becomes a dead letter."""


class DeadLetterLog(Protocol):
    """Takes dead letters; `send` returns when all are acknowledged."""

    async def send(self, messages: Sequence[Outgoing]) -> object: ...


class Sink:
    """Moves records into tables."""

    def __init__(
        self,
        source: SinkSource,
        target: SinkTables,
        decode: Decode,
        log_: DeadLetterLog,
        dead: DeadLetters,
        *,
        policy: CutPolicy,
        health: Health,
        retry_base_s: float = RETRY_BASE_S,
    ) -> None:
        self._source = source
        self._target = target
        self._decode = decode
        self._log = log_
        self._dead = dead
        self._dead_now: list[Outgoing] = []
        self._buffer = Buffer(policy)
        self._sources: dict[str, list[Record]] = {}
        """By table, the record of each row in the buffer."""
        self._health = health
        self._retry_base_s = retry_base_s
        self._position: dict[Place, int] = {}
        self.waiting = 0
        """Polled records whose rows are not inserted yet; the lag does not count them."""
        self._chance = random.Random()  # noqa: S311  # jitter

    async def forget(self, _: Collection[Place]) -> None:
        """Before a rebalance: drop the rows that are not inserted; their records are delivered again."""
        self._buffer.take()
        self._sources.clear()
        self._dead_now.clear()
        self._position.clear()
        self.waiting = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Insert until `stop`; then insert and commit the rest."""
        while not stop.is_set():
            wait_s = min(0.5, self._buffer.rest_s(now=time.monotonic()))
            for record in await self._source.poll(
                max_records=MAX_RECORDS, timeout_ms=max(1, round(wait_s * 1000))
            ):
                self._take(record)
            if self._buffer.is_due(now=time.monotonic()):
                await self._flush()
        await self._flush()

    def _take(self, record: Record) -> None:
        now = time.monotonic()
        self.waiting += 1
        self._buffer.add("", (), record.size, now=now)
        try:
            for table, rows in self._decode(record):
                self._buffer.add(table, rows, 0, now=now)
                self._sources.setdefault(table, []).extend([record] * len(rows))
            self._dead.good()
        except UndecodableError as error:
            self._dead_now += self._dead.take(record, error.reason)
        except Exception as error:  # a guard: no record ends the stage
            if not is_poison(error):
                raise
            self._dead_now += self._dead.set_aside(record, error)
        self._position[record.place] = record.offset + 1

    async def _flush(self) -> None:
        position, self._position = self._position, {}
        sources, self._sources = self._sources, {}
        for table, rows in self._buffer.take().items():
            refused = await self._insert_sound(table, rows, sources.get(table, ()))
            for record, error in refused.values():
                self._dead_now += self._dead.set_aside(record, error)
        dead, self._dead_now = self._dead_now, []
        await self._log.send(dead)
        if position:
            await self._source.commit(position)
        self.waiting = 0

    async def _insert_sound(
        self, table: str, rows: Sequence[Row], records: Sequence[Record]
    ) -> dict[tuple[Place, int], tuple[Record, RowsRefusedError]]:
        """Insert the rows that the table takes; return the records of the others."""
        try:
            await self._insert(table, rows)
        except RowsRefusedError as error:
            if len(rows) == 1:
                return {(records[0].place, records[0].offset): (records[0], error)}
            half = len(rows) // 2
            first = await self._insert_sound(table, rows[:half], records[:half])
            return first | await self._insert_sound(table, rows[half:], records[half:])
        return {}

    async def _insert(self, table: str, rows: Sequence[Row]) -> None:
        """Retry until the insert is acknowledged.

        Raises:
            RowsRefusedError: if a row is at fault.
        """
        tries = 0
        while True:
            try:
                await self._target.insert(table, rows)
            except RowsRefusedError:
                raise
            except TableError as error:
                tries += 1
                log.warning(
                    "insert.refused", table=table, rows=len(rows), tries=tries, reason=str(error)
                )
                self._health.block("clickhouse", str(error)[:200])
                await asyncio.sleep(
                    backoff_s(
                        tries, base_s=self._retry_base_s, limit_s=RETRY_LIMIT_S, chance=self._chance
                    )
                )
            else:
                self._health.clear("clickhouse")
                return
