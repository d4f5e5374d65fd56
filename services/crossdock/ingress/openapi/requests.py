"""/v1/chat/completions and /v1/embeddings. Bodies and answers are OpenAI's; told is what we look at ourselves."""

from typing import get_args

from crossdock.ingress.openapi.batches import METADATA
from crossdock.ingress.openapi.operation import JSON, Answer, Body, Operation
from crossdock.ingress.openapi.schema import (
    FLAG,
    TEXT,
    Json,
    array,
    choice,
    nullable,
    ref,
    some_of,
    told,
    wish,
)
from crossdock.ingress.values import specimens as errors
from crossdock_schemas.accounts.attribution import MAX_USER
from crossdock_schemas.accounts.demands import MaxPrice
from crossdock_schemas.accounts.policy import MAX_PATTERNS
from crossdock_schemas.pricing.catalogue import Quantization

TAG = "requests"
STREAM = "text/event-stream"
_OBJECT: Json = {"type": "object"}
_MODEL = told(TEXT, "One of `GET /v1/models`.")
_USER = nullable(TEXT | {"maxLength": MAX_USER})
_ATTRIBUTION = {
    "safety_identifier": told(
        _USER, "The end user that the request is for, as the caller knows it."
    ),
    "user": told(_USER, "The same by its older name; `safety_identifier` goes first."),
    "metadata": told(nullable(METADATA), "Tags that its calls are booked under."),
}
_NAME = TEXT | {"minLength": 1, "maxLength": 256}
_DEMANDS = nullable(
    wish(
        {
            "only": told(
                some_of(_NAME, MAX_PATTERNS),
                "Names of the providers that may be asked; `*` stands for any text.",
            ),
            "ignore": told(
                nullable(array(_NAME, maxItems=MAX_PATTERNS)), "Names of those that may not."
            ),
            "data_collection": told(
                nullable(choice(("allow", "deny"))),
                "`deny`: no provider that may train on what it is sent.",
            ),
            "zdr": told(nullable(FLAG), "True: no provider that may keep what it is sent."),
            "quantizations": told(
                some_of(choice(get_args(Quantization)), MAX_PATTERNS),
                "The precisions of weights that may be used; null: all.",
            ),
            "max_price": told(
                nullable(wish(MaxPrice.model_json_schema()["properties"], is_closed=False)),
                "USD at most: per million tokens of `prompt` and of `completion`, and per `request`.",
            ),
        },
        is_closed=False,
    )
)
_OF_THE_DOCK = _ATTRIBUTION | {
    "provider": told(
        _DEMANDS,
        "What an endpoint must be like. Works like one more policy; what is not listed is refused, unless it is null.",
    )
}


def _theirs(name: str) -> Json:
    address = f"https://platform.openai.com/docs/api-reference/{name}"
    return {"externalDocs": {"url": address}, "additionalProperties": True}


SCHEMAS: dict[str, Json] = {
    "ChatCompletionRequest": wish(
        {
            "model": _MODEL,
            "messages": array(_OBJECT, minItems=1),
            "stream": told(
                {}, "True: the finished answer as a correct stream of server-sent events."
            ),
            "stream_options": told({}, "`include_usage`: a last chunk with the usage."),
            **_OF_THE_DOCK,
        },
        required=("model", "messages"),
        is_closed=False,
    )
    | _theirs("chat/create"),
    "ChatCompletion": {
        "type": "object",
        "description": "What the provider answered, byte for byte.",
        **_theirs("chat/object"),
    },
    "EmbeddingRequest": wish(
        {
            "model": _MODEL,
            "input": {
                "oneOf": [TEXT | {"minLength": 1}, {"type": "array", "minItems": 1}],
                "description": "A text, several, or tokens.",
            },
            **_OF_THE_DOCK,
        },
        required=("model", "input"),
        is_closed=False,
    )
    | _theirs("embeddings/create"),
    "Embeddings": {
        "type": "object",
        "description": "What the provider answered, byte for byte.",
        **_theirs("embeddings/object"),
    },
}

_ERRORS = (
    *errors.SENT,
    *errors.PAIRS,
    errors.UNPAID,
    errors.NO_CREDITS,
    errors.NO_MODEL,
    errors.DEMANDS,
    errors.NO_ENDPOINT,
    errors.BUSY,
    errors.KAFKA,
    errors.LATE,
)
_HELLO = {"role": "user", "content": "Hello"}
_STREAM: Json = told(TEXT, "Chunks of a chat completion, `data: [DONE]` last.")

OPERATIONS = (
    Operation(
        "POST", "/v1/chat/completions", "create_chat_completion", "Run one chat completion",
        tag=TAG,
        text="Waits for the answer. If the caller hangs up before a provider was called, nothing is paid.",
        body=Body(ref("ChatCompletionRequest"), {"model": "atlas-large", "messages": [_HELLO]}),
        answers=(Answer({JSON: ref("ChatCompletion"), STREAM: _STREAM}),),
        errors=_ERRORS,
        passes_on="The provider's own error.",
    ),
    Operation(
        "POST", "/v1/embeddings", "create_embedding", "Run one embedding",
        tag=TAG,
        text="Waits for the answer. If the caller hangs up before a provider was called, nothing is paid.",
        body=Body(ref("EmbeddingRequest"), {"model": "atlas-embed", "input": "Hello"}),
        answers=(Answer({JSON: ref("Embeddings")}),),
        errors=_ERRORS,
        passes_on="The provider's own error.",
    ),
)  # fmt: skip
