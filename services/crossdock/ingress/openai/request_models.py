"""Bodies and answers of single requests, for the API's document: `check_request` checks them by hand, for speed."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from crossdock.ingress.values.models import OpenRequestModel
from crossdock.ingress.values.types import Tags
from crossdock_schemas.accounts.attribution import MAX_USER
from crossdock_schemas.accounts.policy import MAX_PATTERNS
from crossdock_schemas.pricing.catalogue import Quantization

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


def _theirs(name: str) -> ConfigDict:
    url = f"{_OPENAI}/{name}"
    return ConfigDict(
        json_schema_extra={"externalDocs": {"url": url}, "additionalProperties": True}
    )


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
    model_config = _theirs("chat/create")

    messages: tuple[dict[str, Any], ...] = Field(min_length=1)
    stream: Any = None
    """True: the finished answer as a correct stream of server-sent events."""
    stream_options: Any = None
    """`include_usage`: a last chunk with the usage."""


class EmbeddingCreate(SingleRequest):
    model_config = _theirs("embeddings/create")

    input: Annotated[str, Field(min_length=1)] | Annotated[tuple[Any, ...], Field(min_length=1)]
    """A text, several, or tokens."""


class ChatCompletion(BaseModel):
    """The provider's answer, byte for byte."""

    model_config = _theirs("chat/object")


class Embeddings(BaseModel):
    """The provider's answer, byte for byte."""

    model_config = _theirs("embeddings/object")
