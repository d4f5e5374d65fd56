"""The catalogue: providers, and endpoints (provider x model) with their prices. Data, merged from files."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Annotated, Literal, get_args

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from crossdock_schemas.message import Message
from crossdock_schemas.pricing.prices import Prices

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Region = Literal["global", "europe", "us"]
REGIONS: tuple[Region, ...] = get_args(Region)
Auth = Literal["bearer", "azure", "aws", "google"]
Quantization = Literal[
    "int4", "int8", "fp4", "mxfp4", "nvfp4", "fp6", "fp8", "mxfp8", "fp16", "bf16", "fp32", "unknown"
]  # OpenRouter's names  # fmt: skip
UnknownParameters = Literal["auto", "pass", "refuse"]
Operation = Literal["/v1/chat/completions", "/v1/embeddings"]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)


class _Entry(Message):
    """Operators write these by hand: an unknown key is a typo, and an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Offer(_Entry):
    """One model at one provider: an endpoint."""

    model: str
    """Name of the model for callers."""
    upstream_model: str | None = None
    """Name of the model at the provider; None: `model`."""
    operations: tuple[Operation, ...] = ("/v1/chat/completions",)
    quantization: Quantization = "unknown"
    context_length: int | None = Field(default=None, ge=1)
    """Tokens of question and answer together."""
    max_output_tokens: int | None = Field(default=None, ge=1)
    """Tokens of one answer at most."""
    max_tokens_parameter: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """The provider's name of the limit of an answer."""
    prices: Prices


class Provider(_Entry):
    """A service of models over HTTP in a known wire format."""

    name: Slug
    format: Literal["openai"] = "openai"
    base_url: str
    """May contain placeholders that a key fills: `{host}`, `{resource}` (azure), `{region}` (aws, google),
    `{region_prefix}`, `{project}` (google)."""
    auth: Auth = "bearer"
    """Authorization of calls, and shape of keys."""
    token_url: str = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address
    """Address where `google` exchanges a service account's signature for a token."""
    api_key_env: str | None = None
    """The environment variable of the provider workers that holds the key; None sends no Authorization."""
    trains_on_data: bool = True
    """It may train on requests; set False only if you know that it does not."""
    retains_data: bool = True
    """It may store requests; set False only if you know that it stores nothing."""
    region: Region = "global"
    """Region where it processes requests."""
    unknown_parameters: UnknownParameters = "auto"
    """Whether requests may have parameters that Crossdock does not know, and so cannot price. `auto`: unless a budget
    or prepaid credits bind the request. `pass`: always, as none of them costs money here. `refuse`: never."""
    usage_tolerance: float = Field(default=1.0, ge=1, le=1000)
    """Tokens that a call may report, as a multiple of those in its worst case (and 1,024 of input for a prompt of the
    provider); the rest is disputed. Without an effect on calls that a budget or prepaid credits bind: these are booked
    up to the amount held."""
    max_in_flight: int = Field(default=256, ge=1)
    """Calls at once, per worker."""
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 120.0
    """Silence longer than this ends a call."""
    call_timeout_s: float = 600.0
    max_calls: int = Field(default=3, ge=1)
    """Calls for one line at this endpoint before it falls back or gives up."""
    models: tuple[Offer, ...]


class Endpoint(Message):
    """An offer with its provider."""

    provider: str
    model: str
    upstream_model: str
    operations: tuple[Operation, ...]
    context_length: int | None = None
    max_output_tokens: int | None = None
    max_tokens_parameter: str = "max_tokens"
    quantization: Quantization = "unknown"
    trains_on_data: bool = True
    retains_data: bool = True
    region: Region = "global"
    unknown_parameters: UnknownParameters = "auto"
    prices: Prices

    def takes_unknown(self, *, is_limited: bool) -> bool:
        """Return whether a request may have unknown parameters; `is_limited`: a budget or credits bind it."""
        if self.unknown_parameters == "auto":
            return not is_limited
        return self.unknown_parameters == "pass"

    @property
    def name(self) -> str:
        return f"{self.provider}/{self.model}"


class Catalogue(_Entry):
    """Every provider, in the order of the files; a later file replaces a provider of the same name."""

    providers: tuple[Provider, ...] = ()

    @model_validator(mode="after")
    def _names_are_unique(self) -> "Catalogue":
        names = [provider.name for provider in self.providers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"provider named twice: {', '.join(twice)}")
        return self

    @cached_property
    def by_name(self) -> Mapping[str, Provider]:
        return {provider.name: provider for provider in self.providers}

    @cached_property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return tuple(
            Endpoint(
                provider=provider.name,
                model=offer.model,
                upstream_model=offer.upstream_model or offer.model,
                operations=offer.operations,
                context_length=offer.context_length,
                max_output_tokens=offer.max_output_tokens,
                max_tokens_parameter=offer.max_tokens_parameter,
                quantization=offer.quantization,
                trains_on_data=provider.trains_on_data,
                retains_data=provider.retains_data,
                region=provider.region,
                unknown_parameters=provider.unknown_parameters,
                prices=offer.prices,
            )
            for provider in self.providers
            for offer in provider.models
        )

    @cached_property
    def _by_model(self) -> Mapping[tuple[str, str], tuple[Endpoint, ...]]:
        found: dict[tuple[str, str], tuple[Endpoint, ...]] = {}
        for endpoint in self.endpoints:
            for operation in endpoint.operations:
                key = (endpoint.model, operation)
                found[key] = (*found.get(key, ()), endpoint)
        return found

    def serving(self, model: str, operation: str) -> tuple[Endpoint, ...]:
        """Return the endpoints that serve `model` for `operation`, in catalogue order; empty if there is none."""
        return self._by_model.get((model, operation), ())

    def offering(self, model: str) -> tuple[Endpoint, ...]:
        """Return the endpoints of `model` for any operation, in catalogue order."""
        return tuple(endpoint for endpoint in self.endpoints if endpoint.model == model)

    @cached_property
    def models(self) -> Mapping[str, frozenset[str]]:
        """Operations by name of the model."""
        found: dict[str, frozenset[str]] = {}
        for endpoint in self.endpoints:
            served = found.get(endpoint.model, frozenset())
            found[endpoint.model] = served | set(endpoint.operations)
        return found


def merge_catalogues(catalogues: Iterable[Catalogue]) -> Catalogue:
    """Return one catalogue; of providers with one name the last wins, in the place of the first."""
    merged: dict[str, Provider] = {}
    for catalogue in catalogues:
        merged.update((provider.name, provider) for provider in catalogue.providers)
    return Catalogue(providers=tuple(merged.values()))
