"""Bodies and answers of single requests, for the API's document: `check_request` checks them by hand, for speed."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from crossdock.ingress.values.models import OpenRequestModel
from crossdock.ingress.values.types import Tags
from crossdock_schemas.accounts.attribution import MAX_USER
from crossdock_schemas.accounts.policy import MAX_PATTERNS
from crossdock_schemas.operations import CHAT, EMBEDDINGS
from crossdock_schemas.pricing.catalogue import Quantization
from crossdock_schemas.pricing.field_types import or_null
from crossdock_schemas.pricing.parameters import PARAMETERS
from crossdock_schemas.pricing.worst_case import OUTPUT_LIMITS

_OPENAI = "https://platform.openai.com/docs/api-reference"
EndUser = Annotated[str, Field(max_length=MAX_USER)]
ProviderPattern = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^\S+$")]
_USD = {
    "anyOf": [
        {"type": "number", "minimum": 0, "exclusiveMaximum": 10**6},
        {"type": "string", "pattern": r"^[0-9]{1,6}(?:\.[0-9]{1,6})?$"},
        {"type": "null"},
    ]
}
HighestPrice = Annotated[Any, WithJsonSchema(_USD)]


def _theirs(name: str, operation: str = "") -> ConfigDict:
    """Return the schema of a body of OpenAI's API; `operation`: with its parameters of the table."""

    def add(schema: dict[str, Any]) -> None:
        schema |= {"externalDocs": {"url": f"{_OPENAI}/{name}"}, "additionalProperties": True}
        for one in PARAMETERS.get(operation, {}).values():
            if one.type.schema:
                described = {"description": one.note} if one.note else {}
                schema["properties"].setdefault(one.name, or_null(one.type.schema) | described)
        if operation == CHAT.path:
            one_of_two = {limit: {"type": "integer"} for limit in OUTPUT_LIMITS}
            schema["not"] = {"properties": one_of_two, "required": list(OUTPUT_LIMITS)}

    return ConfigDict(json_schema_extra=add)


class HighestPrices(OpenRequestModel):
    """USD at most: per million tokens, and per call."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": {"type": "null"}})

    prompt: HighestPrice = None
    completion: HighestPrice = None
    request: HighestPrice = None


class ProviderDemands(OpenRequestModel):
    """Demands on the endpoint. They work like one more policy; any other field is refused unless it is null."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": {"type": "null"}})

    only: Annotated[tuple[ProviderPattern, ...], Field(min_length=1, max_length=MAX_PATTERNS)] | None = None  # fmt: skip
    """Names of the providers that may be called; `*` stands for any text."""
    ignore: Annotated[tuple[ProviderPattern, ...], Field(max_length=MAX_PATTERNS)] | None = None
    """Names of those that may not."""
    data_collection: Literal["allow", "deny"] | None = None
    """`deny`: only providers that do not train on requests."""
    zdr: bool | None = None
    """True: only providers that keep no data."""
    quantizations: Annotated[tuple[Quantization, ...], Field(min_length=1, max_length=MAX_PATTERNS)] | None = None  # fmt: skip
    """Only these precisions of the weights."""
    max_price: HighestPrices | None = None
    allow_fallbacks: Literal[True] | None = None
    require_parameters: Literal[False] | None = None
    enforce_distillable_text: Literal[False] | None = None


class SingleRequest(OpenRequestModel):
    model: str
    """One of `GET /v1/models`, or a preset: `@preset/SLUG`, `MODEL@preset/SLUG`."""
    preset: str | None = None
    """A preset's slug."""
    safety_identifier: EndUser | None = None
    """The end user that the request is for, as the caller knows it."""
    user: EndUser | None = None
    """The same by its older name; `safety_identifier` wins."""
    metadata: Tags | None = None
    """Tags that its calls are booked under."""
    provider: ProviderDemands | None = None
    models: None = None
    """Not supported."""


class ChatCompletionCreate(SingleRequest):
    model_config = _theirs("chat/create", CHAT.path)

    messages: tuple[dict[str, Any], ...] = Field(min_length=1)
    stream: bool | None = None
    """True: the finished answer as a correct stream of server-sent events."""
    stream_options: dict[str, Any] | None = None
    """`include_usage`: a last chunk with the usage."""


class EmbeddingCreate(SingleRequest):
    model_config = _theirs("embeddings/create", EMBEDDINGS.path)

    input: (
        Annotated[str, Field(min_length=1)]
        | Annotated[tuple[str, ...], Field(min_length=1)]
        | Annotated[tuple[int, ...], Field(min_length=1)]
        | Annotated[tuple[tuple[int, ...], ...], Field(min_length=1)]
    )
    """A text, several, tokens, or several arrays of tokens."""


class ChatCompletion(BaseModel):
    """The provider's answer, byte for byte."""

    model_config = _theirs("chat/object")


class Embeddings(BaseModel):
    """The provider's answer, byte for byte."""

    model_config = _theirs("embeddings/object")
