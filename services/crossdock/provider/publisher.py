"""Publishes in groups: usage first; results after Kafka acknowledged the usage."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from crossdock.kernel.process import metrics
from crossdock.kernel.process.clock import Clock
from crossdock.kernel.process.record import Outgoing
from crossdock.kernel.requests.results import result_record
from crossdock.provider.usage_rows import Finished
from crossdock_schemas.calls.usage import HoldEnd, Usage, UsageGroup, hold_end
from crossdock_schemas.codec import encode_headers
from crossdock_schemas.ids import HoldId
from crossdock_schemas.parcel.parcel import Lane
from crossdock_schemas.parcel.result import result_group
from crossdock_schemas.topics import USAGE

SOURCE = "crossdock/provider"
MAX_ROWS = 500  # in a record
MAX_BYTES = 524_288  # of a record, about; a topic takes 1 MiB
ROW_BYTES = 700  # of a usage row or a result, about, besides what varies
T = TypeVar("T")
Owned = TypeVar("Owned", Usage, HoldEnd)


class RecordLog(Protocol):
    """Takes records; `send` returns when all are acknowledged."""

    async def send(self, messages: Sequence[Outgoing]) -> object: ...


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
        await self._producer.send(self._result_records(finished))
        for line in finished:
            metrics.LINES_DONE.labels(line.result.outcome.value).inc()
        if acknowledged is not None and not acknowledged.done():
            acknowledged.set_result(None)

    def _usage_records(self, rows: Sequence[Usage], ended: Sequence[HoldEnd]) -> list[Outgoing]:
        """Return the usage records: for each account its calls, then the ends of holds."""
        of_calls, of_ends = _by_account(rows), _by_account(ended)
        records = []
        for account in of_calls | of_ends:
            calls = of_calls.get(account, [])
            *chunks, last = list(_chunks(calls, lambda row: ROW_BYTES + len(row.custom_id))) or [()]
            # why no chunks: a flush ends some hundred lines at most, which fit beside any calls
            ends = tuple(_together(of_ends.get(account, [])))
            for chunk, of_chunk in [*((chunk, ()) for chunk in chunks), (last, ends)]:
                group = UsageGroup.model_construct(executions=tuple(chunk), ended=of_chunk)
                records.append(self._usage_record(account, group))
        return records

    def _usage_record(self, account: str, group: UsageGroup) -> Outgoing:
        first = group.executions[0].execution_id if group.executions else group.ended[0].hold_id
        headers = encode_headers(USAGE, SOURCE, first, self._clock.now_ms(), None)
        return Outgoing(USAGE.name, account.encode(), group.to_json(), headers)

    def _result_records(self, finished: Sequence[Finished]) -> list[Outgoing]:
        by_key: dict[str, list[Finished]] = {}
        for end in finished:
            by_key.setdefault(end.parcel.batch_id or end.result.request_id, []).append(end)
        return [
            self._result_record(chunk)
            for group in by_key.values()
            for chunk in _chunks(
                group, lambda end: ROW_BYTES + len(end.result.custom_id) + len(end.line)
            )
        ]

    def _result_record(self, ends: Sequence[Finished]) -> Outgoing:
        parcel = ends[0].parcel
        group = result_group(parcel, parcel.lane, [end.result for end in ends])
        lines = [end.line for end in ends]
        return result_record(group, lines, source=SOURCE, now_ms=self._clock.now_ms())


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


def _chunks(items: Sequence[T], size_of: Callable[[T], int]) -> Iterator[Sequence[T]]:
    """Cut `items` into records of at most MAX_ROWS and about MAX_BYTES."""
    start = size = 0
    for at, item in enumerate(items):
        size += size_of(item)
        if at > start and (at - start == MAX_ROWS or size > MAX_BYTES):
            yield items[start:at]
            start, size = at, size_of(item)
    if items:
        yield items[start:]
