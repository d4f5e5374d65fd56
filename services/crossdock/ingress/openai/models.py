"""/v1/models: OpenAI's objects, with the fields of OpenRouter's."""

from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field
from starlette.requests import Request

from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.values import errors
from crossdock.ingress.values.models import AnswerModel
from crossdock.ingress.values.operations import Access, operation
from crossdock.ingress.values.specimens import NO_MODEL
from crossdock.ingress.values.types import ExactUsd
from crossdock_schemas.pricing.catalogue import Catalogue, Endpoint, Operation
from crossdock_schemas.pricing.prices import PER_MILLION

ModelName = Annotated[str, Field(description="Its name; may hold slashes.")]


class ModelServing(AnswerModel):
    operations: tuple[Operation, ...]
    providers: tuple[str, ...]


class ModelArchitecture(AnswerModel):
    input_modalities: tuple[Literal["text"], ...] = ("text",)
    output_modalities: tuple[Literal["text", "embeddings"], ...]
    modality: str


class ModelPricing(AnswerModel):
    """The prices of the endpoint with the lowest sum of input and output."""

    prompt: ExactUsd
    """For each token of input."""
    completion: ExactUsd
    """For each token of output."""
    request: ExactUsd
    """For each call."""


class ModelLimits(AnswerModel):
    context_length: int | None
    max_completion_tokens: int | None
    is_moderated: Literal[False] = False


class ModelLinks(AnswerModel):
    details: str


class ModelObject(AnswerModel):
    id: str
    object: Literal["model"] = "model"
    created: Literal[0] = 0
    """The catalogue has no dates."""
    owned_by: str
    """The first provider that serves it."""
    shutdown_date: None = None
    crossdock: ModelServing
    name: str
    canonical_slug: str
    context_length: int | None
    """Tokens of question and answer together at the endpoint with the highest limit; null: not known."""
    architecture: ModelArchitecture
    pricing: ModelPricing
    top_provider: ModelLimits
    links: ModelLinks
    supported_parameters: tuple[str, ...] = ()
    """The catalogue does not know them."""
    default_parameters: None = None
    per_request_limits: None = None
    supported_voices: None = None


class ModelListLinks(AnswerModel):
    next: None = None


class ModelList(AnswerModel):
    """All models, on one page."""

    object: Literal["list"] = "list"
    data: tuple[ModelObject, ...]
    total_count: int
    links: ModelListLinks = ModelListLinks()


class ModelRoutes:
    """The catalogue's models."""

    tag = "models"
    ids = MappingProxyType({"model": ModelName})

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._shown: tuple[Catalogue, dict[str, ModelObject]] | None = None

    @property
    def _models(self) -> dict[str, ModelObject]:
        """The objects of the catalogue in use, made once for each catalogue."""
        catalogue = self._context.catalogue
        if self._shown is None or self._shown[0] is not catalogue:
            self._shown = catalogue, {model.id: model for model in show_models(catalogue)}
        return self._shown[1]

    @operation(
        "GET", "/v1/models", "list_models", "List the catalogue's models", access=Access.EVERY,
    )  # fmt: skip
    async def list(self, _request: Request) -> ModelList:
        return ModelList(data=tuple(self._models.values()), total_count=len(self._models))

    @operation(
        "GET", "/v1/models/{model:path}", "get_model", "Show a model", access=Access.EVERY,
        errors=(NO_MODEL,),
    )  # fmt: skip
    async def retrieve(self, request: Request) -> ModelObject:
        name = request.path_params["model"]
        model = self._models.get(name)
        if model is None:
            raise errors.no_model(name)
        return model


def show_models(catalogue: Catalogue) -> list[ModelObject]:
    return [_show(model, catalogue.offering(model)) for model in catalogue.models]


def _show(model: str, endpoints: Sequence[Endpoint]) -> ModelObject:
    operations = sorted({one for endpoint in endpoints for one in endpoint.operations})
    providers = tuple(endpoint.provider for endpoint in endpoints)
    context_length = _most(endpoint.context_length for endpoint in endpoints)
    output = "embeddings" if operations == ["/v1/embeddings"] else "text"
    return ModelObject(
        id=model,
        owned_by=providers[0],
        crossdock=ModelServing(operations=tuple(operations), providers=providers),
        name=model,
        canonical_slug=model,
        context_length=context_length,
        architecture=ModelArchitecture(output_modalities=(output,), modality=f"text->{output}"),
        pricing=_pricing(endpoints),
        top_provider=ModelLimits(
            context_length=context_length,
            max_completion_tokens=_most(endpoint.max_output_tokens for endpoint in endpoints),
        ),
        links=ModelLinks(details=f"/v1/models/{model}"),
    )


def _most(counts: Iterable[int | None]) -> int | None:
    return max((count for count in counts if count is not None), default=None)


def _pricing(endpoints: Sequence[Endpoint]) -> ModelPricing:
    prices = min(
        (endpoint.prices for endpoint in endpoints), key=lambda one: one.input + one.output
    )
    return ModelPricing(
        prompt=prices.input * PER_MILLION,
        completion=prices.output * PER_MILLION,
        request=prices.request,
    )
