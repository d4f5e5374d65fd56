"""Publishes in groups: usage first; results after Kafka acknowledged the usage."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

import structlog

from crossdock.kernel.process import metrics
from crossdock.kernel.process.clock import Clock
from crossdock.kernel.process.grouping import cut
from crossdock.kernel.process.record import Outgoing
from crossdock.kernel.requests.results import result_records
from crossdock.provider.usage_rows import Finished
from crossdock_schemas.calls.usage import HoldEnd, Usage, UsageGroup, hold_end
from crossdock_schemas.codec import encode_headers
from crossdock_schemas.ids import HoldId
from crossdock_schemas.parcel.parcel import Lane
from crossdock_schemas.topics import USAGE

log: structlog.stdlib.BoundLogger = structlog.get_logger()

SOURCE = "crossdock/provider"
MAX_ROWS = 500  # calls and ends of holds in a record
MAX_BYTES = 524_288  # of a record
MAX_ROW_BYTES = 900_000
"""Bytes of one row. A row within all documented limits has a quarter of that; a parcel of an older version may have
more."""
_NO_TEXTS: dict[str, object] = {
    "custom_id": "",
    "user": "",
    "tags": {},
    "provider_request_id": None,
}
Owned = TypeVar("Owned", Usage, HoldEnd)


class RecordLog(Protocol):
    """Takes records; `send` returns when all are acknowledged."""

    async def send(self, messages: Sequence[Outgoing]) -> object: ...


class _EncodedRow(NamedTuple):
    """A call or the end of a hold, encoded once: its bytes are measured and sent."""

    identifier: str
    raw: bytes
    is_end: bool


class Publisher:
    """Collects for `flush_s`; a realtime line is sent at once. All callers of one flush wait for its end."""

    def __init__(self, producer: RecordLog, clock: Clock, *, flush_s: float) -> None:
        self._producer = producer
        self._clock = clock
        self._flush_s = flush_s
        self._usage: list[Usage] = []
        self._ended: list[HoldEnd] = []
        self._finished: list[Finished] = []
        self._acknowledged: asyncio.Future[None] | None = None
        self._work = asyncio.Event()
        self._urgent = asyncio.Event()

    def book(self, usage: Usage) -> None:
        """Add the usage of a call. It is published before any result that is finished later."""
        self._usage.append(usage)
        self._work.set()

    def end_hold(self, end: HoldEnd) -> None:
        """Add the end of a hold; it is published after all usage booked before."""
        self._ended.append(end)
        self._work.set()

    async def finish(self, lines: Sequence[Finished]) -> None:
        """Publish the ends of `lines`; return when they and all usage booked before are acknowledged."""
        self._finished += lines
        await self.settle(is_urgent=any(line.parcel.lane is Lane.REALTIME for line in lines))

    async def settle(self, *, is_urgent: bool) -> None:
        """Return when all usage and results added before are acknowledged."""
        if self._acknowledged is None:
            self._acknowledged = asyncio.get_running_loop().create_future()
        self._work.set()
        if is_urgent:
            self._urgent.set()
        await self._acknowledged

    async def run(self) -> None:
        """Flush until cancelled.

        Raises:
            LogError: if Kafka refuses; lines without an acknowledged result are called again after a restart.
        """
        while True:
            await self._work.wait()
            try:
                async with asyncio.timeout(self._flush_s):
                    await self._urgent.wait()
            except TimeoutError:
                pass
            await self.flush()

    async def flush(self) -> None:
        """Send the collected records, usage first."""
        usage, self._usage = self._usage, []
        finished, self._finished = self._finished, []
        ended, self._ended = self._ended, []
        ended += [
            hold_end(line.parcel, (line.result.line,))
            for line in finished
            if line.parcel.hold is not None
        ]
        acknowledged, self._acknowledged = self._acknowledged, None
        self._work.clear()
        self._urgent.clear()
        await self._producer.send(self._usage_records(usage, ended))
        await self._producer.send(list(self._result_records(finished)))
        for line in finished:
            metrics.LINES_DONE.labels(line.result.outcome.value).inc()
        if acknowledged is not None and not acknowledged.done():
            acknowledged.set_result(None)

    def _usage_records(self, rows: Sequence[Usage], ended: Sequence[HoldEnd]) -> list[Outgoing]:
        """Return the usage records: for each account its calls, then the ends of holds."""
        of_calls, of_ends = _by_account(rows), _by_account(ended)
        return [
            self._usage_record(account, group)
            for account in of_calls | of_ends
            for group in cut(
                _encoded_rows(of_calls.get(account, ()), of_ends.get(account, ())),
                lambda row: len(row.raw) + 1,
                max_bytes=MAX_BYTES,
                max_count=MAX_ROWS,
            )
        ]

    def _usage_record(self, account: str, rows: Sequence[_EncodedRow]) -> Outgoing:
        headers = encode_headers(USAGE, SOURCE, rows[0].identifier, self._clock.now_ms(), None)
        value = UsageGroup.encoded(
            (row.raw for row in rows if not row.is_end), (row.raw for row in rows if row.is_end)
        )
        return Outgoing(USAGE.name, account.encode(), value, headers)

    def _result_records(self, finished: Sequence[Finished]) -> Iterator[Outgoing]:
        by_key: dict[str, list[Finished]] = {}
        for end in finished:
            by_key.setdefault(end.parcel.batch_id or end.result.request_id, []).append(end)
        for ends in by_key.values():
            parcel, results = ends[0].parcel, ((end.result, end.line) for end in ends)
            yield from result_records(
                parcel, parcel.lane, results, source=SOURCE, now_ms=self._clock.now_ms()
            )


def _encoded_rows(rows: Iterable[Usage], ended: Sequence[HoldEnd]) -> Iterator[_EncodedRow]:
    """Yield the calls of one account, then the ends of its holds."""
    for row in rows:
        yield _EncodedRow(row.execution_id, _encoded(row), is_end=False)
    for end in _together(ended):
        yield _EncodedRow(end.hold_id, end.to_json(), is_end=True)


def _encoded(row: Usage) -> bytes:
    """Return the JSON of a row. If no record takes it, its texts are left out: what a call cost is always booked."""
    reason = ""
    try:
        raw = row.to_json()
    except ValueError as error:  # a text that is not Unicode
        raw, reason = b"", str(error)[:200]
    if raw and len(raw) <= MAX_ROW_BYTES:
        return raw
    log.error(
        "usage.cut",
        topic=USAGE.name,
        key=row.account,
        execution_id=row.execution_id,
        bytes=len(raw),
        reason=reason or "too large",
    )
    return row.model_copy(update=_NO_TEXTS).to_json()


def _by_account(items: Iterable[Owned]) -> dict[str, list[Owned]]:
    found: dict[str, list[Owned]] = {}
    for item in items:
        found.setdefault(item.account, []).append(item)
    return found


def _together(ended: Sequence[HoldEnd]) -> list[HoldEnd]:
    """Return one end for each hold and kind, with all its lines."""
    slots: dict[tuple[HoldId, bool], tuple[int, ...]] = {}
    last = {}
    for end in ended:
        key = (end.hold_id, end.is_unknown)
        slots[key] = (*slots.get(key, ()), *end.slots)
        last[key] = end
    return [end.model_copy(update={"slots": slots[key]}) for key, end in last.items()]
