"""/v1/files."""

from crossdock.ingress.openai.files import BYTES as OCTETS
from crossdock.ingress.openai.files import MAX_PAGE
from crossdock.ingress.openapi import names
from crossdock.ingress.openapi.operation import FORM, Answer, Body, Operation, Parameter, answer
from crossdock.ingress.openapi.schema import (
    BYTES,
    COUNT,
    SECONDS,
    TEXT,
    Json,
    choice,
    nullable,
    page,
    ref,
    shown,
    told,
    wish,
)
from crossdock.ingress.values import specimens as errors
from crossdock.ingress.values.checks import MAX_EXPIRY_S, MIN_EXPIRY_S, PURPOSES

TAG = "files"
PURPOSE = choice(PURPOSES)
LIFE: Json = {"type": "integer", "minimum": MIN_EXPIRY_S, "maximum": MAX_EXPIRY_S}
EXPIRY: Json = {
    "type": "object",
    "required": ["anchor", "seconds"],
    "properties": {"anchor": {"const": "created_at"}, "seconds": LIFE},
}


def after(item: Json) -> Parameter:
    return Parameter("after", item, "The item that the page follows.")


SCHEMAS: dict[str, Json] = {
    "File": shown(
        {
            "id": names.FILE,
            "object": {"const": "file"},
            "bytes": COUNT,
            "created_at": SECONDS,
            "expires_at": nullable(SECONDS),
            "filename": TEXT,
            "purpose": choice([*PURPOSES, "batch_output"]),
            "status": {"const": "processed"},
            "status_details": {"type": "null"},
        }
    ),
    "FileDeleted": shown(
        {"id": names.FILE, "object": {"const": "file"}, "deleted": {"const": True}}
    ),
    "FileForm": wish(
        {
            "file": BYTES,
            "purpose": told(PURPOSE, "`batch`: the input of batches; its name ends in .jsonl."),
            "expires_after[anchor]": {"const": "created_at"},
            "expires_after[seconds]": LIFE,
        },
        required=("file", "purpose"),
        is_closed=False,
    ),
}

_ID = {"id": names.FILE}

OPERATIONS = (
    Operation(
        "POST", "/v1/files", "create_file", "Upload a file",
        tag=TAG,
        body=Body(ref("FileForm"), {"purpose": "user_data"}, FORM),
        answers=answer(ref("File")),
        errors=(*errors.SENT, errors.FILENAME, errors.KAFKA, errors.STORE),
    ),
    Operation(
        "GET", "/v1/files", "list_files", "List files",
        tag=TAG,
        parameters=(
            after(names.FILE),
            Parameter("limit", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE}),
            Parameter("order", choice(("desc", "asc")), "By the time they were made."),
            Parameter("purpose", TEXT),
        ),
        answers=answer(page(ref("File"))),
        errors=errors.VALUES,
    ),
    Operation(
        "GET", "/v1/files/{id}", "get_file", "Show a file",
        tag=TAG,
        names=_ID,
        answers=answer(ref("File")),
        errors=(errors.NONE_SUCH,),
    ),
    Operation(
        "DELETE", "/v1/files/{id}", "delete_file", "Delete a file",
        tag=TAG,
        names=_ID,
        answers=answer(ref("FileDeleted")),
        errors=(errors.NONE_SUCH, errors.KAFKA, errors.STORE),
    ),
    Operation(
        "GET", "/v1/files/{id}/content", "get_file_content", "Read a file's content",
        tag=TAG,
        text=(
            "The output of a batch that still runs is told as far as it is: then `x-incomplete` is `true` and "
            "`x-last-line` says how many lines there are."
        ),
        names=_ID,
        parameters=(
            Parameter("offset", COUNT, "Leave out so many lines of a batch's output."),
            Parameter("range", TEXT, "`bytes=<first>-<last>`", place="header"),
        ),
        answers=(Answer({OCTETS: BYTES}), Answer({OCTETS: BYTES}, 206, "A range of it.")),
        errors=(*errors.VALUES, errors.NONE_SUCH, errors.RANGE, errors.STORE),
    ),
)  # fmt: skip
