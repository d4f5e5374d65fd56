"""A tail: every partition of some topics, read by one process alone, without a group (directories, rings, views)."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from crossdock.kernel.drivers.kafka.consumer import GroupConsumer, Place, open_reader
from crossdock.kernel.process import metrics
from crossdock.kernel.process.errors import is_poison
from crossdock.kernel.process.record import Record

log: structlog.stdlib.BoundLogger = structlog.get_logger()

Apply = Callable[[Record], None]
MAX_RECORDS = 2000


class Tail:
    """Feeds `apply` every record from the beginning (or from `since_ms` on), in order within a partition.

    `caught_up` is set once the records that existed at the start are applied: from then on the view is complete.
    """

    def __init__(
        self,
        servers: str,
        places: Sequence[Place],
        apply: Apply,
        *,
        client: str,
        since_ms: int | None = None,
    ) -> None:
        self._servers = servers
        self._places = tuple(places)
        self._apply = apply
        self._client = client
        self._since_ms = since_ms
        self._reader: GroupConsumer | None = None
        self.caught_up = asyncio.Event()

    def lag(self) -> dict[str, int]:
        """Return the lag of the view by topic; empty before it reads."""
        return {} if self._reader is None else self._reader.lag()

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop` is set.

        Raises:
            LogError: if Kafka refuses.
        """
        async with open_reader(self._servers, self._places, client=self._client) as reader:
            self._reader = reader
            ends = await reader.end_offsets(self._places)
            if self._since_ms is not None:
                await self._seek_since(reader, ends, self._since_ms)
            while not stop.is_set():
                for record in await reader.poll(max_records=MAX_RECORDS, timeout_ms=100):
                    self._take(record)
                if not self.caught_up.is_set() and await reached(reader, ends):
                    self.caught_up.set()
        self._reader = None

    def _take(self, record: Record) -> None:
        try:
            self._apply(record)
        except Exception as error:  # a guard: no record ends a view
            if not is_poison(error):
                raise
            pass_over(record, error)

    async def _seek_since(
        self, reader: GroupConsumer, ends: dict[Place, int], since_ms: int
    ) -> None:
        found = await reader.offsets_at(self._places, since_ms)
        for place in self._places:
            await reader.seek(place, found.get(place, ends[place]))


async def reached(reader: GroupConsumer, ends: dict[Place, int]) -> bool:
    """Return whether `reader` is at or after `ends` in every partition."""
    for place, end in ends.items():
        if await reader.position(place) < end:
            return False
    return True


def pass_over(record: Record, error: BaseException) -> None:
    """Count and log a record that a view cannot apply. It stays in its topic, so no dead letter is needed."""
    metrics.DEAD_LETTERS.labels(record.topic).inc()
    log.warning(
        "record.passed_over",
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        reason=str(error)[:200],
    )
