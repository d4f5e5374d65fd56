"""An upload: a large file in parts. The object store holds its state and parts, so every ingress can continue it."""

import re
from collections.abc import AsyncIterator, Sequence
from typing import Literal

from crossdock.ingress.settings import MIB
from crossdock.ingress.values import errors
from crossdock.ingress.values.errors import RefusedError
from crossdock.kernel.drivers.object_store import Objects
from crossdock.kernel.process.errors import NoSuchObjectError
from crossdock_schemas.batches.file import StoredFile
from crossdock_schemas.ids import (
    AccountId,
    FileId,
    ProjectId,
    UploadId,
    make_token,
    time_of,
)
from crossdock_schemas.message import Message

UPLOADS = "uploads"
OPEN = "open-uploads"
LIFE_MS = 3_600_000  # OpenAI's: an hour to complete it
GRACE_MS = 600_000  # a completion that began in time still reads the parts
KEPT_MS = 86_400_000  # then it is still known for a day
MAX_PART_BYTES = 64 * MIB
MAX_PARTS = 10_000
UPLOAD_ID = re.compile(r"upload_[0-9a-f]{32}")
PART_ID = re.compile(r"part_[0-9a-f]{32}")

Status = Literal["pending", "completed", "cancelled", "expired"]


class Upload(Message):
    """The state of an upload."""

    upload_id: UploadId
    account: AccountId
    project: ProjectId
    filename: str
    purpose: str
    mime_type: str
    bytes: int
    life_s: int | None = None
    """Life of the file that it becomes, in seconds; None: no end."""
    created_at_ms: int
    expires_at_ms: int
    status: Status = "pending"
    file: StoredFile | None = None

    def status_at(self, now_ms: int) -> Status:
        return (
            "expired" if self.status == "pending" and self.expires_at_ms <= now_ms else self.status
        )


def make_part_id(now_ms: int) -> str:
    return f"part_{make_token(now_ms)}"


def no_part(part_id: object) -> RefusedError:
    return errors.wrong_value("part_ids", part_id, "There is no such part of this upload.")


class UploadStore:
    """Uploads in the object store: uploads/<id>/state, /file (the file's id, claimed once), /parts/<part id>.

    An upload that holds parts, or may hold some, has a marker open-uploads/<account>/<id>/<its bytes>.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def load(self, upload_id: str) -> Upload | None:
        if UPLOAD_ID.fullmatch(upload_id) is None:
            return None
        try:
            return Upload.from_json(await self._objects.get(f"{UPLOADS}/{upload_id}/state"))
        except NoSuchObjectError:
            return None

    async def save(self, upload: Upload) -> None:
        await self._objects.put(f"{UPLOADS}/{upload.upload_id}/state", upload.to_json())

    async def open(self, upload: Upload) -> None:
        """Save a new upload, and count its bytes for its organization."""
        await self._objects.put(_marker(upload), b"")
        await self.save(upload)

    async def open_of(self, account: AccountId) -> AsyncIterator[int]:
        """Yield the bytes of each open upload of an organization."""
        async for path in self._objects.list(f"{OPEN}/{account}"):
            yield int(path.rpartition("/")[2])

    async def parts_of(self, upload_id: str) -> tuple[int, int]:
        """Return number and bytes of the parts that are stored."""
        sizes = [size async for _, size in self._objects.sizes(f"{UPLOADS}/{upload_id}/parts")]
        return len(sizes), sum(sizes)

    async def claim_file_id(self, upload_id: str, wanted: FileId) -> FileId:
        """Return the id of the file that this upload becomes: the first one that was claimed, in any process."""
        path = f"{UPLOADS}/{upload_id}/file"
        if await self._objects.create(path, wanted.encode()):
            return wanted
        return FileId((await self._objects.get(path)).decode())

    async def size(self, upload_id: str, part_ids: Sequence[str]) -> int:
        """Return the bytes of the parts together.

        Raises:
            RefusedError: if one does not exist.
        """
        total = 0
        for part_id in part_ids:
            is_id = PART_ID.fullmatch(part_id) is not None
            size = await self._objects.head(part_path(upload_id, part_id)) if is_id else None
            if size is None:
                raise no_part(part_id)
            total += size
        return total

    async def read(self, upload_id: str, part_ids: Sequence[str]) -> AsyncIterator[bytes]:
        for part_id in part_ids:
            async for chunk in self._objects.stream(part_path(upload_id, part_id)):
                yield chunk

    async def close(self, upload: Upload) -> None:
        """Remove the parts, and count the upload no more."""
        await self._drop(f"{UPLOADS}/{upload.upload_id}/parts")
        await self._objects.delete(_marker(upload))

    async def sweep(self, now_ms: int) -> None:
        """Remove the parts of expired uploads, and what is known of uploads a day after their end."""
        for marker in [path async for path in self._objects.list(OPEN)]:
            upload_id = marker.split("/")[2]
            made_at_ms = time_of(upload_id)
            if made_at_ms is not None and made_at_ms + LIFE_MS + GRACE_MS < now_ms:
                await self._drop(f"{UPLOADS}/{upload_id}/parts")
                await self._objects.delete(marker)
        paths = [path async for path in self._objects.list(UPLOADS)]
        for upload_id in {path.split("/")[1] for path in paths}:
            made_at_ms = time_of(upload_id)
            if made_at_ms is not None and made_at_ms + LIFE_MS + KEPT_MS < now_ms:
                await self._drop(f"{UPLOADS}/{upload_id}")

    async def _drop(self, folder: str) -> None:
        for path in [path async for path in self._objects.list(folder)]:
            await self._objects.delete(path)


def _marker(upload: Upload) -> str:
    return f"{OPEN}/{upload.account}/{upload.upload_id}/{upload.bytes}"


def part_path(upload_id: str, part_id: str) -> str:
    return f"{UPLOADS}/{upload_id}/parts/{part_id}"
