"""/v1/files: contents in the object store, entries on the compacted topic `files`."""

from collections.abc import AsyncIterator, Sequence

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from crossdock.ingress.commands.records import make_file_record
from crossdock.ingress.http.auth import Principal, principal_of
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.openai.byte_ranges import (
    cut_parts,
    parse_range,
    read_slices,
    skip_lines,
    skip_parts,
)
from crossdock.ingress.openai.file_deletion import Deletion
from crossdock.ingress.openai.multipart import Form, receive_form
from crossdock.ingress.values import errors
from crossdock.ingress.values.checks import check_choice, check_expiry, check_number, check_purpose
from crossdock.ingress.values.openai_objects import Json, show_deleted, show_file, show_list
from crossdock.ingress.values.paging import choose_page
from crossdock.ingress.values.responses import answer_json
from crossdock.ingress.views.files_and_batches import has_expired
from crossdock.ingress.views.read_your_writes import is_recent
from crossdock_schemas.batches.batch import Part
from crossdock_schemas.batches.file import StoredFile, content_path
from crossdock_schemas.ids import FileId, make_file_id

OWN_WRITE_S = (
    2.0  # our own tail shows a file within some milliseconds; after this we answer without it
)
OTHERS_WRITE_S = 0.5
MAX_PAGE = 10_000
BATCH_LIFE_S = 30 * 86_400  # OpenAI's default for the files of batches
BYTES = "application/octet-stream"


class FileRoutes:
    """Files. A file is there once its entry is acknowledged; its content was complete before."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._deletion = Deletion(context)

    def routes(self) -> list[Route]:
        return [
            Route("/v1/files", self.create, methods=["POST"]),
            Route("/v1/files", self.list, methods=["GET"]),
            Route("/v1/files/{id}", self.retrieve, methods=["GET"]),
            Route("/v1/files/{id}", self.delete, methods=["DELETE"]),
            Route("/v1/files/{id}/content", self.content, methods=["GET"]),
        ]

    async def create(self, request: Request) -> Response:
        file_id = make_file_id(self._context.clock.now_ms())
        form = await receive_form(
            request.stream(),
            request.headers.get("content-type", ""),
            self._context.objects,
            content_path(file_id),
            file_part="file",
            limit=self._context.settings.max_file_bytes,
        )
        try:
            file = make_file(principal_of(request), file_id, form, self._context.clock.now_ms())
        except errors.RefusedError:
            await self._context.objects.delete(content_path(file_id))
            raise
        await publish_file(self._context, file)
        return answer_json(show_file(file, file.bytes))

    async def list(self, request: Request) -> Response:
        query, who = request.query_params, principal_of(request)
        limit = check_number(
            query.get("limit"), "limit", default=MAX_PAGE, lowest=1, highest=MAX_PAGE
        )
        order = check_choice(query.get("order"), "order", ("desc", "asc"))
        purpose = query.get("purpose")
        live = self._context.files.live(self._context.clock.now_ms())
        page, has_more = choose_page(
            (
                (file.file_id, file)
                for file in live
                if who.owns(file.account, file.project) and purpose in (None, file.purpose)
            ),
            after=query.get("after"),
            limit=limit,
            newest_first=order == "desc",
        )
        return answer_json(show_list([self._show(file) for file in page], has_more=has_more))

    async def retrieve(self, request: Request) -> Response:
        return answer_json(self._show(await self._find(request)))

    async def delete(self, request: Request) -> Response:
        file = await self._find(request)
        await self._deletion.delete(file)
        return answer_json(show_deleted("file", file.file_id))

    async def content(self, request: Request) -> Response:
        """Send the bytes; those of a batch's output while the batch still runs, too."""
        file = await self._find(request)
        offset = check_number(
            request.query_params.get("offset"), "offset", default=0, lowest=0, highest=10**12
        )
        parts, extra = self._parts(file)
        if offset:
            rest, lines = skip_parts(parts, offset)
            size = sum(part.bytes for part in rest)
            chunks = skip_lines(read_slices(self._context.objects, cut_parts(rest, 0, size)), lines)
            return StreamingResponse(chunks, headers=extra, media_type=BYTES)
        return self._send(parts, request.headers.get("range"), extra)

    def _send(self, parts: Sequence[Part], wanted: str | None, extra: dict[str, str]) -> Response:
        size = sum(part.bytes for part in parts)
        span = parse_range(wanted, size)
        start, end = span or (0, size)
        headers = {**extra, "content-length": str(end - start), "accept-ranges": "bytes"}
        if span is not None:
            headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
        chunks: AsyncIterator[bytes] = read_slices(
            self._context.objects, cut_parts(parts, start, end)
        )
        return StreamingResponse(chunks, 206 if span else 200, headers=headers, media_type=BYTES)

    def _parts(self, file: StoredFile) -> tuple[Sequence[Part], dict[str, str]]:
        """Return what the content is made of, and the headers that tell how far it has come."""
        if file.path is not None:
            return (Part(path=file.path, bytes=file.bytes, lines=0),), {}
        if file.batch_id is None or file.part_kind is None:
            return (), {}
        parts = self._context.batches.parts(file.batch_id, file.part_kind)
        batch = self._context.batches.find(file.batch_id)
        lines = sum(part.lines for part in parts)
        is_complete = batch is not None and batch.status.is_final
        return parts, {
            "x-incomplete": "false" if is_complete else "true",
            "x-last-line": str(lines),
        }

    def _show(self, file: StoredFile) -> Json:
        if file.batch_id is None:
            return show_file(file, file.bytes)
        batch = self._context.batches.find(file.batch_id)
        if batch is None:
            return show_file(file, 0)
        is_output = file.part_kind == "output"
        return show_file(file, batch.output_bytes if is_output else batch.error_bytes)

    async def _find(self, request: Request) -> StoredFile:
        file_id = request.path_params["id"]
        file = await find_file(self._context, principal_of(request), file_id)
        if file is None:
            raise errors.no_such("File", file_id)
        return file


async def find_file(context: ApiContext, principal: Principal, file_id: str) -> StoredFile | None:
    """Return a file that exists for `principal`; one that may be too new for our tail is waited for."""
    now_ms = context.clock.now_ms()
    found = context.files.find(file_id, now_ms)
    if found is None and is_recent(file_id, now_ms):
        found = await context.files.arrivals.until(
            file_id, lambda: context.files.find(file_id, now_ms), timeout_s=OTHERS_WRITE_S
        )
    is_visible = found is not None and principal.owns(found.account, found.project)
    return found if is_visible else None


async def publish_file(context: ApiContext, file: StoredFile) -> None:
    """Make `file` known, and wait until we know it ourselves."""
    now_ms = context.clock.now_ms()
    await context.outbox.publish(make_file_record(file, now_ms))
    if has_expired(file, now_ms):
        return
    await context.files.arrivals.until(
        file.file_id, lambda: context.files.find(file.file_id, now_ms), timeout_s=OWN_WRITE_S
    )


def make_file(principal: Principal, file_id: FileId, form: Form, now_ms: int) -> StoredFile:
    """Return the entry for a form that was received.

    Raises:
        RefusedError: if its fields are not sound.
    """
    filename = form.filename or "file"
    purpose = form.fields.get("purpose")
    if not purpose:
        raise errors.missing("purpose")
    check_purpose(purpose, filename)
    return StoredFile(
        file_id=file_id,
        account=principal.account,
        project=principal.project,
        filename=filename,
        purpose=purpose,
        bytes=form.size,
        created_at_ms=now_ms,
        expires_at_ms=choose_expiry(purpose, _expiry_in(form.fields), now_ms),
        path=content_path(file_id),
    )


def choose_expiry(purpose: str, life_s: int | None, now_ms: int) -> int | None:
    if life_s is None and purpose == "batch":
        life_s = BATCH_LIFE_S
    return None if life_s is None else now_ms + life_s * 1000


def _expiry_in(fields: dict[str, str]) -> int | None:
    anchor, seconds = (fields.get(f"expires_after[{name}]") for name in ("anchor", "seconds"))
    if anchor is None and seconds is None:
        return None
    number: object = (
        int(seconds) if seconds and seconds.isascii() and seconds.isdigit() else seconds
    )
    return check_expiry({"anchor": anchor, "seconds": number}, "expires_after")
