"""/v1/files: stores contents in the object store, and entries on the compacted topic `files`."""

from collections.abc import AsyncIterator, Sequence
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

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
from crossdock.ingress.openai.file_models import (
    ContentQuery,
    FileDeleted,
    FileForm,
    FileObject,
    FileQuery,
    ListPage,
    choose_expiry,
    make_page,
    show_file,
)
from crossdock.ingress.openai.multipart import Form, receive_form
from crossdock.ingress.openai.storage_quota import StorageQuota
from crossdock.ingress.values import errors
from crossdock.ingress.values.checks import begins_with_object, no_jsonl
from crossdock.ingress.values.operations import FORM, Access, Header, operation
from crossdock.ingress.values.paging import choose_page
from crossdock.ingress.values.specimens import (
    FILENAME,
    KAFKA,
    LONG_NAME,
    RANGE,
    STORE,
    STORED,
)
from crossdock.ingress.values.types import FileId as ShownFileId
from crossdock.ingress.values.validation import read_model
from crossdock.ingress.views.files_and_batches import has_expired
from crossdock.ingress.views.read_your_writes import is_recent
from crossdock_schemas.batches.batch import Part
from crossdock_schemas.batches.file import StoredFile, content_path
from crossdock_schemas.ids import FileId, make_file_id

OWN_WRITE_S = (
    2.0  # our own tail shows a file within some milliseconds; after this we answer without it
)
OTHERS_WRITE_S = 0.5
HEAD_BYTES = 65_536  # of a content that is judged
BYTES = "application/octet-stream"
_CONTENT = {BYTES: {"type": "string", "contentMediaType": BYTES}}


class FileRoutes:
    """Files. A file exists when its entry is acknowledged; its content is complete before."""

    tag = "files"
    ids = MappingProxyType({"id": ShownFileId})

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._deletion = Deletion(context)
        self._quota = StorageQuota(context)

    @operation(
        "POST", "/v1/files", "create_file", "Upload a file", access=Access.INFERENCE, body=FileForm,
        media=FORM, example={"purpose": "user_data"}, errors=(FILENAME, LONG_NAME, STORED, KAFKA, STORE),
    )  # fmt: skip
    async def create(self, request: Request) -> FileObject:
        file_id = make_file_id(self._context.clock.now_ms())
        async with self._quota.receive(request) as chunks:
            form = await receive_form(
                chunks,
                request.headers.get("content-type", ""),
                self._context.objects,
                content_path(file_id),
                file_part="file",
                limit=self._context.settings.max_file_bytes,
            )
            try:
                file = make_file(principal_of(request), file_id, form, self._context.clock.now_ms())
                await self._check_content(file)
            except errors.RefusedError:
                await self._context.objects.delete(content_path(file_id))
                raise
            await publish_file(self._context, file)
        return show_file(file, file.bytes)

    async def _check_content(self, file: StoredFile) -> None:
        """Check the content of an input of batches whose name has no ending."""
        if file.purpose != "batch" or "." in file.filename:
            return
        size = min(file.bytes, HEAD_BYTES)
        head = await self._context.objects.get_range(content_path(file.file_id), 0, size)
        if not begins_with_object(head, is_all=size == file.bytes):
            raise no_jsonl()

    @operation("GET", "/v1/files", "list_files", "List files", access=Access.INFERENCE)
    async def list(self, request: Request, query: FileQuery) -> ListPage[FileObject]:
        who, purpose = principal_of(request), query.purpose
        live = self._context.files.live(self._context.clock.now_ms())
        page, has_more = choose_page(
            (
                (file.file_id, file)
                for file in live
                if who.owns(file.account, file.project) and purpose in (None, file.purpose)
            ),
            after=query.after,
            limit=query.limit,
            newest_first=query.order == "desc",
        )
        return make_page([self._show(file) for file in page], has_more=has_more)

    @operation("GET", "/v1/files/{id}", "get_file", "Show a file", access=Access.INFERENCE)
    async def retrieve(self, request: Request) -> FileObject:
        return self._show(await self._find(request))

    @operation(
        "DELETE", "/v1/files/{id}", "delete_file", "Delete a file", access=Access.INFERENCE,
        errors=(KAFKA, STORE),
    )  # fmt: skip
    async def delete(self, request: Request) -> FileDeleted:
        file = await self._find(request)
        await self._deletion.delete(file)
        return FileDeleted(id=file.file_id)

    @operation(
        "GET", "/v1/files/{id}/content", "get_file_content", "Read a file's content",
        text="The output of a batch that runs holds the lines that are done: then `x-incomplete` is `true`, and " "`x-last-line` is the number of lines.",
        access=Access.INFERENCE, headers=(Header("range", "`bytes=<first>-<last>`"),),
        answers={200: _CONTENT, 206: _CONTENT}, errors=(RANGE, STORE),
    )  # fmt: skip
    async def content(self, request: Request, query: ContentQuery) -> Response:
        """Send the bytes; of a batch that still runs, those of the lines that are done."""
        file = await self._find(request)
        parts, extra = self._parts(file)
        if query.offset:
            rest, lines = skip_parts(parts, query.offset)
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
        """Return the parts of the content, and the headers that show how complete it is."""
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

    def _show(self, file: StoredFile) -> FileObject:
        is_output = file.batch_id is not None
        return show_file(file, self._context.batches.bytes_of(file) if is_output else file.bytes)

    async def _find(self, request: Request) -> StoredFile:
        file_id = request.path_params["id"]
        file = await find_file(self._context, principal_of(request), file_id)
        if file is None:
            raise errors.no_such("File", file_id)
        return file


async def find_file(context: ApiContext, principal: Principal, file_id: str) -> StoredFile | None:
    """Return a file that exists for `principal`; wait for one that may be too new for our tail.

    A file of another project takes the same time as one that does not exist.
    """
    now_ms = context.clock.now_ms()

    def find() -> StoredFile | None:
        found = context.files.find(file_id, now_ms)
        is_own = found is not None and principal.owns(found.account, found.project)
        return found if is_own else None

    if not is_recent(file_id, now_ms):
        return find()
    return await context.files.arrivals.until(file_id, find, timeout_s=OTHERS_WRITE_S)


async def publish_file(context: ApiContext, file: StoredFile) -> None:
    """Publish the entry of `file`, and wait until our own view shows it."""
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
    sent = read_model(FileForm, {**form.fields, "file": form.filename or "file"})
    return StoredFile(
        file_id=file_id,
        account=principal.account,
        project=principal.project,
        filename=sent.file,
        purpose=sent.purpose,
        bytes=form.size,
        created_at_ms=now_ms,
        expires_at_ms=choose_expiry(sent.purpose, sent.seconds, now_ms),
        path=content_path(file_id),
    )
