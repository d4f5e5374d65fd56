"""Deletes files: the entry at once, the bytes when no running batch reads or writes them any more.

A file in use leaves a marker `orphans/<file id>`; the sweep removes both when no batch needs the bytes any more.
"""

import structlog

from crossdock.ingress.commands.records import make_file_tombstone
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.views.files_and_batches import Kind
from crossdock.kernel.process.errors import NoSuchObjectError
from crossdock_schemas.batches.batch import Batch
from crossdock_schemas.batches.file import StoredFile

log: structlog.stdlib.BoundLogger = structlog.get_logger()

ORPHANS = "orphans"
TOMBSTONE_S = 2.0


class Deletion:
    """Deletes files, and sweeps the bytes of deleted ones."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    async def delete(self, file: StoredFile) -> None:
        """Remove `file`; afterwards this process does not serve it any more.

        Raises:
            RefusedError: if Kafka refused the record.
            StoreError: if the store refused.
        """
        marker = f"{ORPHANS}/{file.file_id}"
        is_in_use = self._is_in_use(file)
        if is_in_use:
            await self._context.objects.put(marker, file.to_json())
        now_ms = self._context.clock.now_ms()
        await self._context.outbox.publish(make_file_tombstone(file.file_id, now_ms))
        await self._context.files.arrivals.until(
            file.file_id,
            lambda: None if self._context.files.find(file.file_id, now_ms) else True,
            timeout_s=TOMBSTONE_S,
        )
        if not is_in_use:
            await self._remove(file)

    async def sweep(self) -> None:
        """Delete what expired, and the bytes that were in use when their files were deleted."""
        for file in self._context.files.expired(self._context.clock.now_ms()):
            await self.delete(file)
            log.info("file.expired", file_id=file.file_id)
        markers = [path async for path in self._context.objects.list(ORPHANS)]
        for marker in markers:
            await self._sweep_orphan(marker)

    async def _sweep_orphan(self, marker: str) -> None:
        try:
            file = StoredFile.from_json(await self._context.objects.get(marker))
        except NoSuchObjectError:
            return  # another process swept it
        if not self._is_in_use(file):
            await self._remove(file)
            await self._context.objects.delete(marker)

    def _is_in_use(self, file: StoredFile) -> bool:
        if file.batch_id is not None:
            batch = self._context.batches.find(file.batch_id)
            return batch is not None and not batch.status.is_final
        return any(
            batch.input_file_id == file.file_id and not batch.status.is_final
            for batch in self._context.batches.all()
        )

    async def _remove_prepared(self, batch: Batch) -> None:
        """Prepared lines hold what the input held."""
        for path in (batch.preparation_path, batch.prepared_path):
            if path is not None:
                await self._context.objects.delete(path)

    async def _remove(self, file: StoredFile) -> None:
        if file.path is not None:
            await self._context.objects.delete(file.path)
        for batch in self._context.batches.all():
            if batch.input_file_id == file.file_id:
                await self._remove_prepared(batch)
        if file.batch_id is not None and file.part_kind is not None:
            kind: Kind = file.part_kind
            for part in self._context.batches.parts(file.batch_id, kind):
                await self._context.objects.delete(part.path)
