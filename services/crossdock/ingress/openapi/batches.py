"""/v1/batches."""

from typing import get_args

from crossdock.ingress.openai.batches import MAX_PAGE
from crossdock.ingress.openapi import names
from crossdock.ingress.openapi.files import EXPIRY, after
from crossdock.ingress.openapi.operation import Body, Operation, Parameter, answer
from crossdock.ingress.openapi.schema import (
    COUNT,
    EXACT_USD,
    FLAG,
    SECONDS,
    TEXT,
    TIME,
    Json,
    array,
    choice,
    exactly,
    nullable,
    page,
    ref,
    shown,
    told,
    wish,
)
from crossdock.ingress.values import specimens as errors
from crossdock.ingress.values.checks import WINDOW
from crossdock_schemas.accounts.attribution import MAX_TAG_NAME, MAX_TAG_VALUE, MAX_TAGS
from crossdock_schemas.batches.batch import BatchStatus, WaitReason
from crossdock_schemas.pricing.catalogue import OPERATIONS as SERVED

TAG = "batches"
METADATA: Json = {
    "type": "object",
    "maxProperties": MAX_TAGS,
    "propertyNames": {"maxLength": MAX_TAG_NAME},
    "additionalProperties": {"type": "string", "maxLength": MAX_TAG_VALUE},
}
STAMPS = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")
_CODES = get_args(WaitReason.model_fields["code"].annotation)

_ERROR = shown(
    {
        "code": TEXT,
        "line": nullable(told(COUNT, "From 1; null: the file as a whole.")),
        "message": TEXT,
        "param": nullable(TEXT),
    }
)
_USAGE = shown(
    {
        "input_tokens": COUNT,
        "input_tokens_details": shown({"cached_tokens": COUNT}),
        "output_tokens": COUNT,
        "output_tokens_details": shown({"reasoning_tokens": COUNT}),
        "total_tokens": COUNT,
    }
)
_WAITING = shown(
    {
        "code": choice(_CODES),
        "message": TEXT,
        "scope": told(names.SCOPE, "Whose budget, credits or limit a minute it is."),
        "lines": COUNT,
        "since": TIME,
        "until": nullable(
            told(TIME, "When the budget's window ends, or the next request may begin; null: never.")
        ),
    }
)
_ESTIMATE = shown(
    {
        "low_usd": EXACT_USD,
        "likely_usd": EXACT_USD,
        "worst_usd": told(EXACT_USD, "What would be held if all lines ran at once: USD, exactly."),
        "is_from_history": told(FLAG, "Answers are taken to be as long as earlier ones."),
    }
)
_PROGRESS = shown(
    {
        "cost_usd": EXACT_USD,
        "estimate": told(nullable(_ESTIMATE), "What all lines may cost; null: not known yet."),
        "output_bytes": COUNT,
        "error_bytes": COUNT,
        "models": array(shown({"model": TEXT, "total": COUNT, "fed": COUNT, "done": COUNT})),
        "waiting": told(nullable(_WAITING), "Why lines wait; null: none do."),
    }
)

SCHEMAS: dict[str, Json] = {
    "Batch": shown(
        {
            "id": names.BATCH,
            "object": {"const": "batch"},
            "endpoint": choice(SERVED),
            "model": nullable(told(TEXT, "Null if there are several.")),
            "errors": nullable(shown({"object": {"const": "list"}, "data": array(_ERROR)})),
            "input_file_id": names.FILE,
            "completion_window": TEXT,
            "status": choice(BatchStatus),
            "output_file_id": nullable(names.FILE),
            "error_file_id": nullable(names.FILE),
            "created_at": SECONDS,
            "expires_at": SECONDS,
            **{f"{stamp}_at": nullable(SECONDS) for stamp in STAMPS},
            "request_counts": shown({"total": COUNT, "completed": COUNT, "failed": COUNT}),
            "usage": _USAGE,
            "metadata": nullable(METADATA),
            "crossdock": _PROGRESS,
        }
    ),
    "BatchRequest": wish(
        {
            "input_file_id": names.FILE,
            "endpoint": choice(SERVED),
            "completion_window": {
                "type": "string",
                "pattern": exactly(WINDOW.pattern),
                "description": "From 1m to 7d.",
            },
            "metadata": nullable(METADATA),
            "output_expires_after": nullable(EXPIRY),
        },
        required=("input_file_id", "endpoint", "completion_window"),
        is_closed=False,
    ),
}

_ID = {"id": names.BATCH}
_NEW = {
    "input_file_id": "file-" + "0" * 32,
    "endpoint": "/v1/chat/completions",
    "completion_window": "24h",
}

OPERATIONS = (
    Operation(
        "POST", "/v1/batches", "create_batch", "Ask for a batch",
        tag=TAG,
        text="Answered before the input is looked at: a file that there is not fails the batch in validation.",
        parameters=(
            Parameter(
                "idempotency-key", TEXT, "The same one on the same UTC day names the same batch.",
                place="header",
            ),
        ),
        body=Body(ref("BatchRequest"), _NEW),
        answers=answer(ref("Batch")),
        errors=(*errors.SENT, *errors.PAIRS, errors.KEY_REUSED, errors.KAFKA),
    ),
    Operation(
        "GET", "/v1/batches", "list_batches", "List batches, the newest first",
        tag=TAG,
        parameters=(
            after(names.BATCH),
            Parameter("limit", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE}),
        ),
        answers=answer(page(ref("Batch"))),
        errors=errors.VALUES,
    ),
    Operation(
        "GET", "/v1/batches/{id}", "get_batch", "Show a batch",
        tag=TAG,
        names=_ID,
        answers=answer(ref("Batch")),
        errors=(errors.NO_BATCH,),
    ),
    Operation(
        "POST", "/v1/batches/{id}/cancel", "cancel_batch", "Cancel a batch",
        tag=TAG,
        names=_ID,
        answers=answer(ref("Batch")),
        errors=(errors.NO_BATCH, errors.ENDED, errors.KAFKA),
    ),
)  # fmt: skip
