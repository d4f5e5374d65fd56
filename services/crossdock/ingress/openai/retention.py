"""The sweep: removes expired data every ten minutes. It may run in any number of processes; one is enough.

It removes files at the end of their life, uploads a day after theirs, and bodies that travelled by reference when no
stage can read them any more.
"""

import asyncio

import structlog

from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.openai.file_deletion import Deletion
from crossdock.ingress.openai.upload_store import UploadStore
from crossdock.ingress.values.errors import RefusedError
from crossdock.kernel.drivers.object_store import Objects
from crossdock.kernel.process.errors import StoreError
from crossdock_schemas.ids import time_of

log: structlog.stdlib.BoundLogger = structlog.get_logger()

SWEEP_S = 600.0
HOUR_MS = 3_600_000
SINGLE_LIFE_MS = HOUR_MS  # a single request ends within its deadline, ten minutes by default
LINE_LIFE_MS = 8 * 24 * HOUR_MS  # a line's id holds its batch's time: the longest window, and a day
PASSING = ("bodies", "results")


class Sweep:
    """Removes expired data."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._deletion = Deletion(context)
        self._uploads = UploadStore(context.objects)

    async def run(self, stop: asyncio.Event) -> None:
        """Sweep until `stop` is set. The next turn repeats a sweep that failed."""
        while not stop.is_set():
            try:
                await self.once()
            except (RefusedError, StoreError) as error:
                log.warning("sweep.failed", reason=str(error))
            try:
                async with asyncio.timeout(SWEEP_S):
                    await stop.wait()
            except TimeoutError:
                continue

    async def once(self) -> None:
        now_ms = self._context.clock.now_ms()
        await self._deletion.sweep()
        await self._uploads.sweep(now_ms)
        for folder in PASSING:
            await _sweep_passing(self._context.objects, folder, now_ms)


async def _sweep_passing(objects: Objects, folder: str, now_ms: int) -> None:
    for path in [path async for path in objects.list(folder)]:
        if has_passed(path, now_ms):
            await objects.delete(path)


def has_passed(path: str, now_ms: int) -> bool:
    """Return whether the body at `path` (<folder>/<request id>[/...]) has no use any more."""
    request_id = path.split("/")[1]
    made_at_ms = time_of(request_id)
    life_ms = LINE_LIFE_MS if request_id.startswith("batch_") else SINGLE_LIFE_MS
    return made_at_ms is not None and made_at_ms + life_ms < now_ms
