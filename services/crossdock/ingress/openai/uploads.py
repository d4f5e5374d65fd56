"""/v1/uploads: create, add parts, complete or cancel."""

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from types import MappingProxyType

from starlette.requests import Request

from crossdock.ingress.http.auth import Principal, principal_of
from crossdock.ingress.http.body import declared_bytes
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.openai import upload_models as models
from crossdock.ingress.openai.file_models import choose_expiry
from crossdock.ingress.openai.files import publish_file
from crossdock.ingress.openai.multipart import receive_form
from crossdock.ingress.openai.storage_quota import StorageQuota, held_chunks
from crossdock.ingress.openai.upload_store import (
    LIFE_MS,
    MAX_PART_BYTES,
    MAX_PARTS,
    Upload,
    UploadStore,
    make_part_id,
    part_path,
)
from crossdock.ingress.values import errors
from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.operations import FORM, Access, operation
from crossdock.ingress.values.specimens import (
    FILENAME,
    KAFKA,
    STORE,
    STORED,
    UPLOAD_ENDED,
)
from crossdock.ingress.values.types import UploadId
from crossdock_schemas.batches.file import StoredFile, content_path
from crossdock_schemas.ids import make_file_id, make_upload_id

PARTS_SHARE = (
    2  # of an upload's bytes that its parts may hold: each may be sent again after a lost answer
)


class UploadRoutes:
    """Uploads. A repeated completion returns the same file."""

    tag = "uploads"
    ids = MappingProxyType({"id": UploadId})

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._store = UploadStore(context.objects)
        self._quota = StorageQuota(context)
        self._arriving: Counter[str] = Counter()

    @operation(
        "POST", "/v1/uploads", "create_upload", "Begin an upload", access=Access.INFERENCE,
        example={"filename": "a.jsonl", "purpose": "batch", "bytes": 3, "mime_type": "application/jsonl"},
        errors=(FILENAME, STORED, STORE),
    )  # fmt: skip
    async def create(self, request: Request, body: models.UploadCreate) -> models.UploadObject:
        max_bytes = self._context.settings.max_file_bytes
        if body.bytes > max_bytes:
            raise errors.too_large(max_bytes, "bytes")
        now_ms = self._context.clock.now_ms()
        upload = make_upload(principal_of(request), body, now_ms)
        await self._quota.check(upload.account, upload.bytes)
        await self._store.open(upload)
        return models.show_upload(upload, now_ms)

    @operation(
        "POST", "/v1/uploads/{id}/parts", "add_upload_part", "Add a part to an upload",
        access=Access.INFERENCE, body=models.UploadPartForm, media=FORM, errors=(UPLOAD_ENDED, STORE),
    )  # fmt: skip
    async def add_part(self, request: Request) -> models.UploadPartObject:
        upload = self._require_pending(await self._find(request))
        now_ms = self._context.clock.now_ms()
        part_id = make_part_id(now_ms)
        wanted = min(MAX_PART_BYTES, declared_bytes(request) or MAX_PART_BYTES)
        limit = await self._allowed(upload, wanted)
        self._arriving[upload.upload_id] += limit
        try:
            with self._context.gate.hold(upload.account) as held:
                await receive_form(
                    held_chunks(request, held),
                    request.headers.get("content-type", ""),
                    self._context.objects,
                    part_path(upload.upload_id, part_id),
                    file_part="data",
                    limit=limit,
                )
        finally:
            self._arriving.subtract({upload.upload_id: limit})
            self._arriving += Counter()
        return models.UploadPartObject(id=part_id, created_at=now_ms, upload_id=upload.upload_id)

    @operation(
        "POST", "/v1/uploads/{id}/complete", "complete_upload", "Make a file of an upload",
        text="A repeated request returns the same file.", access=Access.INFERENCE,
        example={"part_ids": ["part_" + "0" * 32]}, errors=(UPLOAD_ENDED, KAFKA, STORE),
    )  # fmt: skip
    async def complete(self, request: Request, body: models.UploadComplete) -> models.UploadObject:
        upload = await self._find(request)
        if upload.status == "completed":
            return self._show(upload)
        self._require_pending(upload)
        size = await self._store.size(upload.upload_id, body.part_ids)
        if size != upload.bytes:
            rule = f"The upload was created for {upload.bytes} bytes."
            raise errors.wrong_value("part_ids", f"{size} bytes", rule)
        md5 = body.md5.lower() if body.md5 else None
        return self._show(await self._finish(upload, body.part_ids, md5))

    @operation(
        "POST", "/v1/uploads/{id}/cancel", "cancel_upload", "Cancel an upload",
        access=Access.INFERENCE, errors=(UPLOAD_ENDED, STORE),
    )  # fmt: skip
    async def cancel(self, request: Request) -> models.UploadObject:
        upload = self._require_pending(await self._find(request))
        cancelled = upload.model_copy(update={"status": "cancelled"})
        await self._store.save(cancelled)
        await self._store.close(upload)
        return self._show(cancelled)

    async def _finish(self, upload: Upload, part_ids: Sequence[str], md5: str | None) -> Upload:
        """Store the content, then the entry, then the state: after a crash, a repeated request completes it."""
        now_ms = self._context.clock.now_ms()
        wanted = make_file_id(now_ms)
        file_id = await self._store.claim_file_id(upload.upload_id, wanted)
        chunks = self._store.read(upload.upload_id, part_ids)
        await self._context.objects.put_stream(content_path(file_id), _checked(chunks, md5))
        file = StoredFile(
            file_id=file_id,
            account=upload.account,
            project=upload.project,
            filename=upload.filename,
            purpose=upload.purpose,
            bytes=upload.bytes,
            created_at_ms=now_ms,
            expires_at_ms=choose_expiry(upload.purpose, upload.life_s, now_ms),
            path=content_path(file_id),
        )
        await publish_file(self._context, file)
        completed = upload.model_copy(update={"status": "completed", "file": file})
        await self._store.save(completed)
        await self._store.close(upload)
        return completed

    async def _allowed(self, upload: Upload, wanted: int) -> int:
        """Return how many of `wanted` bytes a new part may have: parts may be sent twice, not without end.

        Raises:
            RefusedError: 413 if it may have none.
        """
        count, size = await self._store.parts_of(upload.upload_id)
        left = PARTS_SHARE * upload.bytes - size - self._arriving[upload.upload_id]
        if left <= 0 or count >= MAX_PARTS:
            raise errors.too_many_parts(upload.bytes, size, count)
        return min(wanted, left)

    def _require_pending(self, upload: Upload) -> Upload:
        status = upload.status_at(self._context.clock.now_ms())
        if status != "pending":
            raise RefusedError(400, f"Upload '{upload.upload_id}' is {status}, not pending.")
        return upload

    async def _find(self, request: Request) -> Upload:
        upload_id = request.path_params["id"]
        upload = await self._store.load(upload_id)
        if upload is None or not principal_of(request).owns(upload.account, upload.project):
            raise errors.no_such("Upload", upload_id)
        return upload

    def _show(self, upload: Upload) -> models.UploadObject:
        return models.show_upload(upload, self._context.clock.now_ms())


def make_upload(principal: Principal, body: models.UploadCreate, now_ms: int) -> Upload:
    return Upload(
        upload_id=make_upload_id(now_ms),
        account=principal.account,
        project=principal.project,
        filename=body.filename,
        purpose=body.purpose,
        mime_type=body.mime_type,
        bytes=body.bytes,
        life_s=None if body.expires_after is None else body.expires_after.seconds,
        created_at_ms=now_ms,
        expires_at_ms=now_ms + LIFE_MS,
    )


async def _checked(chunks: AsyncIterator[bytes], md5: str | None) -> AsyncIterator[bytes]:
    """Yield `chunks`; compare their checksum at the end, before they become an object."""
    digest = hashlib.md5(usedforsecurity=False)
    async for chunk in chunks:
        if md5 is not None:
            digest.update(chunk)
        yield chunk
    if md5 is not None and digest.hexdigest() != md5.lower():
        raise errors.wrong_value("md5", md5, "The checksum of the parts is another one.")
