"""The quota of stored bytes and files of each organization, and the bytes of uploads in memory."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from crossdock.ingress.http.auth import principal_of
from crossdock.ingress.http.backpressure import HeldBytes
from crossdock.ingress.http.body import declared_bytes
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.openai.upload_store import UploadStore
from crossdock.ingress.values import errors
from crossdock.ingress.values.errors import RefusedError
from crossdock.kernel.drivers.object_store import WRITER_BYTES
from crossdock_schemas.ids import AccountId

BYTES_SETTING = "max_stored_bytes_per_organization"
FILES_SETTING = "max_files_per_organization"
ROOM_S = 5.0  # an upload waits this long for room in memory, then its client gets a 429
ROOM_POLL_S = 0.05


class Arrival:
    """Bytes that arrive for an organization. `others` are its stored bytes that are not of files."""

    def __init__(self, quota: "StorageQuota", account: AccountId, others: int) -> None:
        self._quota = quota
        self._account = account
        self._others = others
        self._bytes = 0

    def add(self, count: int) -> None:
        """Count `count` bytes more.

        Raises:
            RefusedError: 413 if the organization may not store them.
        """
        self._quota.require(self._account, self._others + count)
        self._bytes += count
        self._quota.arriving[self._account] += count

    def end(self) -> None:
        self._quota.arriving[self._account] -= self._bytes
        if not self._quota.arriving[self._account]:
            del self._quota.arriving[self._account]


class StorageQuota:
    """Counts files, outputs of batches, open uploads, and bytes that arrive at this process."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._uploads = UploadStore(context.objects)
        self.arriving: Counter[AccountId] = Counter()

    async def check(self, account: AccountId, size: int = 0) -> int:
        """Return the organization's stored bytes that are not of files, after `size` bytes more.

        Raises:
            RefusedError: 413 if it stores as many bytes or files as it may.
        """
        files, batches = self._context.files, self._context.batches
        uploads = [upload async for upload in self._uploads.open_of(account)]
        count, most = files.count_of(account) + len(uploads), self._limit(FILES_SETTING)
        if count >= most:
            raise errors.storage_full(count + 1, most, "files", FILES_SETTING)
        outputs = sum(map(batches.bytes_of, files.outputs_of(account)))
        others = sum(uploads) + outputs + size
        self.require(account, others)
        return others

    def require(self, account: AccountId, others: int) -> None:
        """Refuse if files, arriving bytes and `others` are more than the organization may store.

        Raises:
            RefusedError: 413.
        """
        used = self._context.files.bytes_of(account) + self.arriving[account] + others
        most = self._limit(BYTES_SETTING)
        if used > most:
            raise errors.storage_full(used, most, "bytes", BYTES_SETTING)

    def _limit(self, setting: str) -> int:
        limit: int = getattr(self._context.settings, setting)
        return limit

    @asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield the chunks of a request's body, which becomes a file before the context ends.

        Raises:
            RefusedError: 413 if the organization may not store it, 429 if too many bytes are in memory.
        """
        account = principal_of(request).account
        arrival = Arrival(self, account, await self.check(account))
        try:
            with self._context.gate.hold(account) as held:
                yield held_chunks(request, held, arrival)
        finally:
            arrival.end()


async def held_chunks(
    request: Request, held: HeldBytes, arrival: Arrival | None = None
) -> AsyncIterator[bytes]:
    """Yield the chunks of a body that passes into the object store, whose buffers hold some of it."""
    await _wait_for_room(held, min(WRITER_BYTES, declared_bytes(request) or WRITER_BYTES))
    async for chunk in request.stream():
        if arrival is not None:
            arrival.add(len(chunk))
        yield chunk


async def _wait_for_room(held: HeldBytes, size: int) -> None:
    """Hold `size` bytes. The client waits meanwhile: uploads are long, and soon one ends."""
    give_up = time.monotonic() + ROOM_S
    while True:
        try:
            held.add(size)
        except RefusedError:
            if time.monotonic() > give_up:
                raise
            await asyncio.sleep(ROOM_POLL_S)
        else:
            return
