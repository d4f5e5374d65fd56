"""An upload: a large file in parts. Its state and parts lie in the object store, so any ingress can go on with it."""

import re
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

from crossdock.ingress.http.auth import Principal
from crossdock.ingress.settings import MIB
from crossdock.ingress.values import errors
from crossdock.ingress.values.checks import Json, check_expiry, check_purpose, require_text
from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.openai_objects import show_file
from crossdock.kernel.drivers.object_store import Objects
from crossdock.kernel.process.errors import NoSuchObjectError
from crossdock_schemas.batches.file import StoredFile
from crossdock_schemas.ids import (
    AccountId,
    FileId,
    ProjectId,
    UploadId,
    make_token,
    make_upload_id,
    time_of,
)
from crossdock_schemas.message import Message

UPLOADS = "uploads"
LIFE_MS = 3_600_000  # OpenAI's: an hour to complete it
KEPT_MS = 86_400_000  # then it is still known for a day
MAX_PART_BYTES = 64 * MIB
MAX_PARTS = 10_000
PART_ID = re.compile(r"part_[0-9a-f]{32}")

Status = Literal["pending", "completed", "cancelled", "expired"]


class Upload(Message):
    """What is known of an upload."""

    upload_id: UploadId
    account: AccountId
    project: ProjectId
    filename: str
    purpose: str
    mime_type: str
    bytes: int
    life_s: int | None = None
    """Of the file that it becomes."""
    created_at_ms: int
    expires_at_ms: int
    status: Status = "pending"
    file: StoredFile | None = None

    def status_at(self, now_ms: int) -> Status:
        return (
            "expired" if self.status == "pending" and self.expires_at_ms <= now_ms else self.status
        )


def make_upload(principal: Principal, body: Json, max_bytes: int, now_ms: int) -> Upload:
    """Return a new upload.

    Raises:
        RefusedError: if `body` is not sound.
    """
    filename, purpose = require_text(body, "filename"), require_text(body, "purpose")
    mime_type = require_text(body, "mime_type")
    check_purpose(purpose, filename)
    size = body.get("bytes")
    if size is None:
        raise errors.missing("bytes")
    if type(size) is not int:
        raise errors.wrong_type("bytes", "an integer", size)
    if size < 1:
        raise errors.wrong_value("bytes", size, "Expected at least 1.")
    if size > max_bytes:
        raise errors.too_large(max_bytes, "bytes")
    return Upload(
        upload_id=make_upload_id(now_ms),
        account=principal.account,
        project=principal.project,
        filename=filename,
        purpose=purpose,
        mime_type=mime_type,
        bytes=size,
        life_s=check_expiry(body.get("expires_after"), "expires_after"),
        created_at_ms=now_ms,
        expires_at_ms=now_ms + LIFE_MS,
    )


def make_part_id(now_ms: int) -> str:
    return f"part_{make_token(now_ms)}"


def check_part_ids(body: Json) -> list[str]:
    part_ids = body.get("part_ids")
    if part_ids is None:
        raise errors.missing("part_ids")
    if not isinstance(part_ids, list):
        raise errors.wrong_type("part_ids", "an array of strings", part_ids)
    if not 1 <= len(part_ids) <= MAX_PARTS:
        raise errors.wrong_value("part_ids", len(part_ids), f"Expected 1 to {MAX_PARTS} parts.")
    for part_id in part_ids:
        if not isinstance(part_id, str) or not PART_ID.fullmatch(part_id):
            raise no_part(part_id)
    return part_ids


def no_part(part_id: object) -> RefusedError:
    return errors.wrong_value("part_ids", part_id, "There is no such part of this upload.")


def show_upload(upload: Upload, now_ms: int) -> dict[str, Any]:
    return {
        "id": upload.upload_id,
        "object": "upload",
        "bytes": upload.bytes,
        "created_at": upload.created_at_ms // 1000,
        "expires_at": upload.expires_at_ms // 1000,
        "filename": upload.filename,
        "purpose": upload.purpose,
        "status": upload.status_at(now_ms),
        "file": None if upload.file is None else show_file(upload.file, upload.file.bytes),
    }


def show_part(part_id: str, upload_id: str, now_ms: int) -> dict[str, Any]:
    return {
        "id": part_id,
        "object": "upload.part",
        "created_at": now_ms // 1000,
        "upload_id": upload_id,
    }


class UploadStore:
    """Uploads in the object store: uploads/<id>/state, /file (the file's id, claimed once), /parts/<part id>."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def load(self, upload_id: str) -> Upload | None:
        if time_of(upload_id) is None or not upload_id.startswith("upload_"):
            return None
        try:
            return Upload.from_json(await self._objects.get(f"{UPLOADS}/{upload_id}/state"))
        except NoSuchObjectError:
            return None

    async def save(self, upload: Upload) -> None:
        await self._objects.put(f"{UPLOADS}/{upload.upload_id}/state", upload.to_json())

    async def claim_file_id(self, upload_id: str, wanted: FileId) -> FileId:
        """Return the id of the file that this upload becomes: the first one claimed, whoever completes it."""
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
            size = await self._objects.head(part_path(upload_id, part_id))
            if size is None:
                raise no_part(part_id)
            total += size
        return total

    async def read(self, upload_id: str, part_ids: Sequence[str]) -> AsyncIterator[bytes]:
        for part_id in part_ids:
            async for chunk in self._objects.stream(part_path(upload_id, part_id)):
                yield chunk

    async def drop_parts(self, upload_id: str) -> None:
        await self._drop(f"{UPLOADS}/{upload_id}/parts")

    async def sweep(self, now_ms: int) -> None:
        """Remove what is a day beyond its end."""
        paths = [path async for path in self._objects.list(UPLOADS)]
        for upload_id in {path.split("/")[1] for path in paths}:
            made_at_ms = time_of(upload_id)
            if made_at_ms is not None and made_at_ms + LIFE_MS + KEPT_MS < now_ms:
                await self._drop(f"{UPLOADS}/{upload_id}")

    async def _drop(self, folder: str) -> None:
        for path in [path async for path in self._objects.list(folder)]:
            await self._objects.delete(path)


def part_path(upload_id: str, part_id: str) -> str:
    return f"{UPLOADS}/{upload_id}/parts/{part_id}"
