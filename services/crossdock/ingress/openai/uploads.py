"""/v1/uploads: create, add parts, complete or cancel."""

import hashlib
from collections.abc import AsyncIterator, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from crossdock.ingress.http.auth import principal_of
from crossdock.ingress.http.body import CONTROL_BYTES, read_body
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.openai.files import choose_expiry, publish_file
from crossdock.ingress.openai.multipart import receive_form
from crossdock.ingress.openai.upload_store import (
    MAX_PART_BYTES,
    Upload,
    UploadStore,
    check_part_ids,
    make_part_id,
    make_upload,
    part_path,
    show_part,
    show_upload,
)
from crossdock.ingress.values import errors
from crossdock.ingress.values.checks import Json
from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.responses import answer_json
from crossdock.ingress.values.validation import parse_object
from crossdock_schemas.batches.file import StoredFile, content_path
from crossdock_schemas.ids import make_file_id


class UploadRoutes:
    """Uploads. A completion that is asked again gives the same file."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._store = UploadStore(context.objects)

    def routes(self) -> list[Route]:
        return [
            Route("/v1/uploads", self.create, methods=["POST"]),
            Route("/v1/uploads/{id}/parts", self.add_part, methods=["POST"]),
            Route("/v1/uploads/{id}/complete", self.complete, methods=["POST"]),
            Route("/v1/uploads/{id}/cancel", self.cancel, methods=["POST"]),
        ]

    async def create(self, request: Request) -> Response:
        body = parse_object(await read_body(request, CONTROL_BYTES))
        now_ms = self._context.clock.now_ms()
        upload = make_upload(
            principal_of(request), body, self._context.settings.max_file_bytes, now_ms
        )
        await self._store.save(upload)
        return self._answer(upload)

    async def add_part(self, request: Request) -> Response:
        upload = self._require_pending(await self._find(request))
        now_ms = self._context.clock.now_ms()
        part_id = make_part_id(now_ms)
        await receive_form(
            request.stream(),
            request.headers.get("content-type", ""),
            self._context.objects,
            part_path(upload.upload_id, part_id),
            file_part="data",
            limit=MAX_PART_BYTES,
        )
        return answer_json(show_part(part_id, upload.upload_id, now_ms))

    async def complete(self, request: Request) -> Response:
        upload = await self._find(request)
        body = parse_object(await read_body(request, CONTROL_BYTES))
        if upload.status == "completed":
            return self._answer(upload)
        part_ids = check_part_ids(body)
        md5 = _md5_in(body)
        self._require_pending(upload)
        size = await self._store.size(upload.upload_id, part_ids)
        if size != upload.bytes:
            rule = f"The upload was created for {upload.bytes} bytes."
            raise errors.wrong_value("part_ids", f"{size} bytes", rule)
        return self._answer(await self._finish(upload, part_ids, md5))

    async def cancel(self, request: Request) -> Response:
        upload = self._require_pending(await self._find(request))
        cancelled = upload.model_copy(update={"status": "cancelled"})
        await self._store.save(cancelled)
        await self._store.drop_parts(upload.upload_id)
        return self._answer(cancelled)

    async def _finish(self, upload: Upload, part_ids: Sequence[str], md5: str | None) -> Upload:
        """Content first, then the entry, then the state: a crash in between is healed by asking again."""
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
        await self._store.drop_parts(upload.upload_id)
        return completed

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

    def _answer(self, upload: Upload) -> Response:
        return answer_json(show_upload(upload, self._context.clock.now_ms()))


def _md5_in(body: Json) -> str | None:
    md5 = body.get("md5")
    if md5 is not None and not isinstance(md5, str):
        raise errors.wrong_type("md5", "a string", md5)
    return md5.lower() if md5 else None


async def _checked(chunks: AsyncIterator[bytes], md5: str | None) -> AsyncIterator[bytes]:
    """Yield `chunks`; at their end compare their checksum, so that nothing wrong becomes an object."""
    digest = hashlib.md5(usedforsecurity=False)
    async for chunk in chunks:
        if md5 is not None:
            digest.update(chunk)
        yield chunk
    if md5 is not None and digest.hexdigest() != md5:
        raise errors.wrong_value("md5", md5, "The checksum of the parts is another one.")
