"""Request and answer models of the policy routes: OpenRouter's fields of guardrails."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from crossdock.ingress.values import types
from crossdock.ingress.values.models import AnswerModel, Data, Listed, RequestModel, fault
from crossdock.kernel.requests.content_filter import why_too_large, why_unsound
from crossdock_schemas.accounts.content_filter import (
    LABEL_PATTERN,
    MAX_FILTERS,
    MAX_PATTERN,
    Action,
    Builtin,
)
from crossdock_schemas.accounts.directory import level_of
from crossdock_schemas.accounts.policy import MAX_PATTERNS, PRICES, Patterns, Policy, Rules
from crossdock_schemas.pricing.catalogue import Quantization, Region
from crossdock_schemas.pricing.worst_case import MAX_TOKENS

Level = Literal["organization", "project", "key"]
Regions = Annotated[tuple[Region, ...], Field(max_length=MAX_PATTERNS)]
Quantizations = Annotated[tuple[Quantization, ...], Field(max_length=MAX_PATTERNS)]


def _re2(pattern: str) -> str:
    why = why_unsound(pattern)
    if why is not None:
        raise fault(f"Invalid RE2 pattern: {why}.")
    return pattern


class BuiltinFilterFields(RequestModel):
    """A built-in detector, and what happens where it finds something."""

    slug: Builtin
    action: Action


class PatternFilterFields(RequestModel):
    """A regular expression in RE2's syntax, and what happens where it matches."""

    pattern: Annotated[
        str, StringConstraints(min_length=1, max_length=MAX_PATTERN), AfterValidator(_re2)
    ]
    action: Action
    label: Annotated[str, StringConstraints(pattern=LABEL_PATTERN)] | None = None
    """The name of its findings; null: `custom`."""


def _each_once(filters: tuple[BuiltinFilterFields, ...]) -> tuple[BuiltinFilterFields, ...]:
    slugs = [one.slug for one in filters]
    twice = next((slug.value for slug in slugs if slugs.count(slug) > 1), None)
    if twice is not None:
        raise fault("Each detector may be named once.", shown=twice)
    return filters


def _small_together(filters: tuple[PatternFilterFields, ...]) -> tuple[PatternFilterFields, ...]:
    why = why_too_large(one.pattern for one in filters)
    if why is not None:
        raise fault(f"Invalid patterns: {why}.")
    return filters


class PriceCaps(RequestModel):
    """The most that a call may cost, USD: per million input tokens, per million output tokens, and per request."""

    prompt: types.SentPrice | None = None
    completion: types.SentPrice | None = None
    request: types.SentPrice | None = None


class PolicySet(RequestModel):
    """The rules of a policy, as a whole; a rule that is not sent, or is null, demands nothing."""

    allowed_models: Patterns | None = None
    """Names, `*` for any text; an empty list allows nothing."""
    ignored_models: Patterns | None = None
    allowed_providers: Patterns | None = None
    ignored_providers: Patterns | None = None
    max_price: PriceCaps | None = None
    data_collection: Literal["deny"] | None = None
    """`deny`: no provider that may train on what it is sent."""
    zdr: types.Flag | None = None
    """True: no provider that may keep what it is sent (zero data retention)."""
    allowed_data_regions: Regions | None = None
    quantizations: Quantizations | None = None
    """The precisions of weights that may be used."""
    max_tokens: types.Whole | None = Field(None, ge=1, le=MAX_TOKENS)
    """Output tokens of one answer at most; a request for more is refused."""
    tools: Literal["deny"] | None = None
    """`deny`: no request may give the model tools."""
    content_filter_builtins: (
        Annotated[
            tuple[BuiltinFilterFields, ...],
            Field(max_length=len(Builtin)),
            AfterValidator(_each_once),
        ]
        | None
    ) = None
    content_filters: (
        Annotated[
            tuple[PatternFilterFields, ...],
            Field(max_length=MAX_FILTERS),
            AfterValidator(_small_together),
        ]
        | None
    ) = None

    def kept(self) -> tuple[str, ...]:
        """Return the rules that a change leaves as they are: those that were not sent."""
        sent = set(self.model_fields_set)
        prices = set(PRICES) if self.max_price is None else self.max_price.model_fields_set
        if "max_price" in sent:
            sent |= {PRICES[name] for name in prices}
        return tuple(name for name in Rules.model_fields if name not in sent)

    def rules(self) -> Rules:
        prices = self.max_price.given() if self.max_price else {}
        rules = {name: value for name, value in self.model_dump().items() if value is not None}
        rules.pop("max_price", None)
        return Rules(**rules, **{PRICES[name]: price for name, price in prices.items()})


class PolicyUpdate(PolicySet):
    """Rules of a policy; a rule that is not sent stays as it is, one that is null demands nothing."""


class PriceCapsObject(AnswerModel):
    prompt: types.Price | None = Field(validation_alias="max_prompt_price")
    """USD per million input tokens."""
    completion: types.Price | None = Field(validation_alias="max_completion_price")
    """USD per million output tokens."""
    request: types.Price | None = Field(validation_alias="max_request_price")
    """USD per call."""


class PolicyObject(AnswerModel):
    """The rules of an organization, a project or a key; a rule that is null demands nothing."""

    scope: types.ScopeId
    level: Level
    organization_id: types.OrganizationId = Field(validation_alias="account")
    allowed_models: tuple[str, ...] | None
    ignored_models: tuple[str, ...]
    allowed_providers: tuple[str, ...] | None
    ignored_providers: tuple[str, ...]
    max_price: PriceCapsObject
    data_collection: Literal["deny"] | None
    zdr: bool
    allowed_data_regions: tuple[Region, ...] | None
    quantizations: tuple[Quantization, ...] | None
    max_tokens: int | None
    tools: Literal["deny"] | None
    content_filter_builtins: tuple[BuiltinFilterFields, ...]
    content_filters: tuple[PatternFilterFields, ...]
    version: types.Version
    updated_at: types.Time = Field(validation_alias="updated_at_ms")


PolicyAnswer = Data[PolicyObject]
PoliciesAnswer = Listed[PolicyObject]


def show_policy(policy: Policy) -> PolicyObject:
    of_policy: dict[str, Any] = dict(policy)
    level = level_of(policy.scope)
    return PolicyObject.of(policy.rules, **of_policy, level=level, max_price=policy.rules)
