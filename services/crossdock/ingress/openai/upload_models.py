"""Bodies and answers of the upload routes."""

from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from crossdock.ingress.openai.file_models import Binary, Expiry, FileObject, show_file
from crossdock.ingress.openai.upload_store import MAX_PARTS, Status, Upload
from crossdock.ingress.values import types
from crossdock.ingress.values.checks import Purpose, check_purpose
from crossdock.ingress.values.models import AnswerModel, OpenRequestModel, RequestModel

_BATCH_NAME: dict[str, Any] = {
    "if": {"properties": {"purpose": {"const": "batch"}}},
    "then": {"properties": {"filename": {"pattern": r"\.[jJ][sS][oO][nN][lL]$"}}},
}


class UploadCreate(RequestModel):
    model_config = ConfigDict(json_schema_extra=_BATCH_NAME)

    filename: types.FileName
    purpose: Purpose
    bytes: types.Whole = Field(ge=1)
    mime_type: types.MediaType
    expires_after: Expiry | None = None

    @model_validator(mode="after")
    def _fit(self) -> Self:
        check_purpose(self.purpose, self.filename)
        return self


class UploadPartForm(OpenRequestModel):
    data: Binary


class UploadComplete(OpenRequestModel):
    part_ids: tuple[types.PartId, ...] = Field(min_length=1, max_length=MAX_PARTS)
    md5: types.Md5 | None = None
    """Checksum of the whole content, in hexadecimal."""


class UploadObject(AnswerModel):
    id: types.UploadId = Field(validation_alias="upload_id")
    object: Literal["upload"] = "upload"
    bytes: types.Count
    created_at: types.Seconds = Field(validation_alias="created_at_ms")
    expires_at: types.Seconds = Field(validation_alias="expires_at_ms")
    filename: str
    purpose: Purpose
    status: Status
    file: FileObject | None
    """The file that it became."""


class UploadPartObject(AnswerModel):
    id: types.PartId
    object: Literal["upload.part"] = "upload.part"
    created_at: types.Seconds
    upload_id: types.UploadId


def show_upload(upload: Upload, now_ms: int) -> UploadObject:
    file = None if upload.file is None else show_file(upload.file, upload.file.bytes)
    return UploadObject.of(upload, status=upload.status_at(now_ms), file=file)
