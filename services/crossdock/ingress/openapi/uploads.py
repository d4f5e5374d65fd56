"""/v1/uploads."""

from typing import get_args

from crossdock.ingress.openai.upload_store import MAX_PARTS, Status
from crossdock.ingress.openapi import names
from crossdock.ingress.openapi.files import EXPIRY, PURPOSE
from crossdock.ingress.openapi.operation import FORM, Body, Operation, answer
from crossdock.ingress.openapi.schema import (
    BYTES,
    COUNT,
    SECONDS,
    TEXT,
    Json,
    array,
    choice,
    nullable,
    ref,
    shown,
    told,
    wish,
)
from crossdock.ingress.values import specimens as errors

TAG = "uploads"

SCHEMAS: dict[str, Json] = {
    "Upload": shown(
        {
            "id": names.UPLOAD,
            "object": {"const": "upload"},
            "bytes": COUNT,
            "created_at": SECONDS,
            "expires_at": SECONDS,
            "filename": TEXT,
            "purpose": PURPOSE,
            "status": choice(get_args(Status)),
            "file": told(nullable(ref("File")), "What it became."),
        }
    ),
    "UploadPart": shown(
        {
            "id": names.PART,
            "object": {"const": "upload.part"},
            "created_at": SECONDS,
            "upload_id": names.UPLOAD,
        }
    ),
    "UploadRequest": wish(
        {
            "filename": TEXT,
            "purpose": PURPOSE,
            "bytes": {"type": "integer", "minimum": 1},
            "mime_type": TEXT,
            "expires_after": nullable(EXPIRY),
        },
        required=("filename", "purpose", "bytes", "mime_type"),
        is_closed=False,
    ),
    "UploadPartForm": wish({"data": BYTES}, required=("data",), is_closed=False),
    "UploadCompletion": wish(
        {
            "part_ids": array(names.PART, minItems=1, maxItems=MAX_PARTS),
            "md5": nullable(told(TEXT, "Of the whole content, in hexadecimal.")),
        },
        required=("part_ids",),
        is_closed=False,
    ),
}

_ID = {"id": names.UPLOAD}
_NEW = {"filename": "a.jsonl", "purpose": "batch", "bytes": 3, "mime_type": "application/jsonl"}

OPERATIONS = (
    Operation(
        "POST", "/v1/uploads", "create_upload", "Begin an upload",
        tag=TAG,
        body=Body(ref("UploadRequest"), _NEW),
        answers=answer(ref("Upload")),
        errors=(*errors.SENT, errors.FILENAME, errors.STORE),
    ),
    Operation(
        "POST", "/v1/uploads/{id}/parts", "add_upload_part", "Add a part to an upload",
        tag=TAG,
        names=_ID,
        body=Body(ref("UploadPartForm"), {}, FORM),
        answers=answer(ref("UploadPart")),
        errors=(*errors.SENT, errors.UPLOAD_ENDED, errors.NONE_SUCH, errors.STORE),
    ),
    Operation(
        "POST", "/v1/uploads/{id}/complete", "complete_upload", "Make a file of an upload",
        tag=TAG,
        text="Asked again it gives the same file.",
        names=_ID,
        body=Body(ref("UploadCompletion"), {"part_ids": ["part_" + "0" * 32]}),
        answers=answer(ref("Upload")),
        errors=(*errors.SENT, errors.UPLOAD_ENDED, errors.NONE_SUCH, errors.KAFKA, errors.STORE),
    ),
    Operation(
        "POST", "/v1/uploads/{id}/cancel", "cancel_upload", "Cancel an upload",
        tag=TAG,
        names=_ID,
        answers=answer(ref("Upload")),
        errors=(errors.UPLOAD_ENDED, errors.NONE_SUCH, errors.STORE),
    ),
)  # fmt: skip
