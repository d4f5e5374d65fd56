"""Reads the claims of some partition numbers into a view."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from pydantic import ValidationError

from crossdock.kernel.drivers.kafka.consumer import GroupConsumer, open_reader
from crossdock.kernel.drivers.kafka.tail import pass_over, reached
from crossdock.kernel.process.record import Record
from crossdock.kernel.runtime.pool.claims import ClaimsView
from crossdock_schemas.calls.claim import ClaimNote
from crossdock_schemas.topics import CLAIMS

MAX_RECORDS = 2000


class ClaimReader:
    """Implements `takeover.ClaimsLog`."""

    def __init__(self, reader: GroupConsumer, partitions: tuple[int, ...]) -> None:
        self._reader = reader
        self._partitions = partitions

    async def catch_up(self, view: ClaimsView) -> dict[int, int]:
        """Read to the current ends; return them by partition number."""
        ends = await self._reader.end_offsets([(CLAIMS.name, p) for p in self._partitions])
        while not await reached(self._reader, ends):
            await self.more(view)
        return {partition: end for (_, partition), end in ends.items()}

    async def more(self, view: ClaimsView) -> None:
        """Read newer notes; wait 200 ms at most."""
        for record in await self._reader.poll(max_records=MAX_RECORDS, timeout_ms=200):
            self._apply(view, record)

    @staticmethod
    def _apply(view: ClaimsView, record: Record) -> None:
        try:
            note = ClaimNote.from_json(record.value or b"")
        except ValidationError as error:
            pass_over(record, error)
            return
        view.apply(record.partition, note, record.offset)


@asynccontextmanager
async def open_claims(
    servers: str, starts: Mapping[int, int], *, client: str
) -> AsyncIterator[ClaimReader]:
    """Open the claims of the partition numbers in `starts`, each from its offset on."""
    places = [(CLAIMS.name, partition) for partition in starts]
    async with open_reader(servers, places, client=client) as reader:
        for partition, start in starts.items():
            await reader.seek((CLAIMS.name, partition), start)
        yield ClaimReader(reader, tuple(starts))
