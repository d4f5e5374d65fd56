"""Bodies and answers of the file routes, and the envelope of pages."""

from collections.abc import Sequence
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import ConfigDict, Field, WithJsonSchema, model_validator

from crossdock.ingress.values import errors
from crossdock.ingress.values.checks import Purpose, check_file_name, check_purpose
from crossdock.ingress.values.models import AnswerModel, OpenRequestModel, QueryModel, RequestModel
from crossdock.ingress.values.types import Count, FileId, QueryNumber, Seconds, Whole
from crossdock_schemas.batches.file import StoredFile
from crossdock_schemas.ids import MAX_ID

T = TypeVar("T", bound=AnswerModel)

MAX_FILES = 10_000
MIN_EXPIRY_S = 3600
MAX_EXPIRY_S = 2_592_000  # 30 days
BATCH_LIFE_S = 30 * 86_400  # OpenAI's default for the files of batches
CURSOR = Field(
    description="The item that the page follows.",
    json_schema_extra={"pattern": "(?:^|[_-])[0-9A-Fa-f]{32}$"},
)
"""An id whose item need not exist any more: `choose_page` reads the item's time from it."""
Binary = Annotated[
    str, WithJsonSchema({"type": "string", "contentMediaType": "application/octet-stream"})
]


_ANCHOR, _SECONDS = "expires_after[anchor]", "expires_after[seconds]"
_TOGETHER: dict[str, Any] = {
    "dependentRequired": {_ANCHOR: [_SECONDS], _SECONDS: [_ANCHOR]},
}
_Anchor = Annotated[Literal["created_at"] | None, WithJsonSchema({"const": "created_at"})]
_LIFE = {"type": "integer", "minimum": MIN_EXPIRY_S, "maximum": MAX_EXPIRY_S}
_LifeSeconds = Annotated[QueryNumber | None, WithJsonSchema(_LIFE)]


class Expiry(RequestModel):
    """When something expires."""

    anchor: Literal["created_at"]
    seconds: Whole = Field(ge=MIN_EXPIRY_S, le=MAX_EXPIRY_S)


class FileForm(OpenRequestModel):
    """The parts of a form; `file` is the file's name. A part cannot be null."""

    model_config = ConfigDict(json_schema_extra=_TOGETHER)

    file: Binary
    purpose: Purpose
    """`batch`: the input of batches; its name ends in .jsonl, or has no ending and the content is JSONL."""
    anchor: _Anchor = Field(None, alias=_ANCHOR)
    seconds: _LifeSeconds = Field(None, alias=_SECONDS, ge=MIN_EXPIRY_S, le=MAX_EXPIRY_S)

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if (self.anchor is None) != (self.seconds is None):
            raise errors.missing(_ANCHOR if self.anchor is None else _SECONDS)
        check_file_name(self.file)
        if self.purpose != "batch" or "." in self.file:  # else its content decides
            check_purpose(self.purpose, self.file)
        return self


class FileQuery(QueryModel):
    after: Annotated[FileId, CURSOR] | None = None
    limit: QueryNumber = Field(MAX_FILES, ge=1, le=MAX_FILES)
    order: Literal["desc", "asc"] = "desc"
    """By the time of creation."""
    purpose: Annotated[str, Field(max_length=MAX_ID)] | None = None


class ContentQuery(QueryModel):
    offset: QueryNumber = Field(0, ge=0, le=10**12)
    """Leave out this number of lines of a batch's output."""


class FileObject(AnswerModel):
    """A file, without its content."""

    id: FileId = Field(validation_alias="file_id")
    object: Literal["file"] = "file"
    bytes: Count
    created_at: Seconds = Field(validation_alias="created_at_ms")
    expires_at: Seconds | None = Field(validation_alias="expires_at_ms")
    filename: str
    purpose: Purpose | Literal["batch_output"]
    status: Literal["processed"] = "processed"
    status_details: None = None


class FileDeleted(AnswerModel):
    id: FileId
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


class ListPage(AnswerModel, Generic[T]):
    """OpenAI's envelope of a page."""

    object: Literal["list"] = "list"
    data: tuple[T, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool


def make_page(items: Sequence[T], *, has_more: bool) -> ListPage[T]:
    """Return a page; its ends are None if it is empty."""
    ids = [item.id for item in items] or [None]  # type: ignore[attr-defined]  # each item has one
    return ListPage(data=tuple(items), first_id=ids[0], last_id=ids[-1], has_more=has_more)


def show_file(file: StoredFile, size: int) -> FileObject:
    """Return a file; the directory does not know the size of a batch's output."""
    return FileObject.of(file, bytes=size)


def choose_expiry(purpose: str, life_s: int | None, now_ms: int) -> int | None:
    if life_s is None and purpose == "batch":
        life_s = BATCH_LIFE_S
    return None if life_s is None else now_ms + life_s * 1000
