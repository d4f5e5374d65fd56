"""Policies: the endpoints that an organization, a project or a key may use. All applicable policies must agree. Pure.

Fields are OpenRouter's guardrail's; `*` in names matches any text. Prices are USD per million tokens.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, StringConstraints

from crossdock_schemas.accounts.content_filter import (
    BuiltinFilters,
    Filters,
    GuardRules,
    PatternFilters,
    combine,
)
from crossdock_schemas.ids import AccountId
from crossdock_schemas.message import Message
from crossdock_schemas.pricing.catalogue import Endpoint, Quantization, Region
from crossdock_schemas.pricing.worst_case import MAX_TOKENS, Ask

MAX_PATTERNS = 100
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\s]+$")]
Patterns = Annotated[tuple[Pattern, ...], Field(max_length=MAX_PATTERNS)]
Price = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=6)]
PRICES = {name: f"max_{name}_price" for name in ("prompt", "completion", "request")}
"""Rules by their names in `max_price`."""


class Rules(Message):
    """The rules of a policy. A list that is None has no effect; an empty list of allowed names allows nothing."""

    allowed_models: Patterns | None = None
    ignored_models: Patterns = ()
    allowed_providers: Patterns | None = None
    ignored_providers: Patterns = ()
    max_prompt_price: Price | None = None
    """USD per million input tokens at most."""
    max_completion_price: Price | None = None
    """USD per million output tokens at most."""
    max_request_price: Price | None = None
    """USD per call at most, besides its tokens."""
    data_collection: Literal["deny"] | None = None
    """deny: no provider that may train on requests."""
    zdr: bool = False
    """Zero data retention: no provider that may store requests."""
    allowed_data_regions: Annotated[tuple[Region, ...], Field(max_length=MAX_PATTERNS)] | None = (
        None
    )
    quantizations: Annotated[tuple[Quantization, ...], Field(max_length=MAX_PATTERNS)] | None = None
    """Only these precisions of a model's weights."""
    max_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS, strict=True)] | None = None
    """Output tokens of one answer at most."""
    tools: Literal["deny"] | None = None
    """deny: no request may contain tools."""
    content_filter_builtins: BuiltinFilters = ()
    """Actions for findings of built-in detectors in requests."""
    content_filters: PatternFilters = ()
    """Actions for matches of regular expressions."""

    def broken_by(self, endpoint: Endpoint) -> str | None:
        """Return the name of the first rule that `endpoint` breaks."""
        prices = endpoint.prices
        checks = (
            ("allowed_models", _is_outside(endpoint.model, self.allowed_models)),
            ("ignored_models", _is_among(endpoint.model, self.ignored_models)),
            ("allowed_providers", _is_outside(endpoint.provider, self.allowed_providers)),
            ("ignored_providers", _is_among(endpoint.provider, self.ignored_providers)),
            ("max_prompt_price", _is_above(prices.input, self.max_prompt_price)),
            ("max_completion_price", _is_above(prices.output, self.max_completion_price)),
            ("max_request_price", _is_above(prices.request, self.max_request_price)),
            ("data_collection", self.data_collection == "deny" and endpoint.trains_on_data),
            ("zdr", self.zdr and endpoint.retains_data),
            ("allowed_data_regions", _is_none_of(endpoint.region, self.allowed_data_regions)),
            ("quantizations", _is_none_of(endpoint.quantization, self.quantizations)),
        )
        return next((name for name, is_broken in checks if is_broken), None)


class Policy(Message):
    """The rules of one organization, project or key. Key in the directory: `policy_` and the scope's id."""

    account: AccountId
    scope: str
    """Id of the organization, project or key that it binds."""
    rules: Rules
    version: int
    """Number of the change that set it, in its account's log."""
    updated_at_ms: int


class Excluded(Message):
    """Why an endpoint is not permitted."""

    endpoint: str
    scope: str
    rule: str


class Permission(Message):
    """The permitted endpoints of a request, and the reasons that exclude the others."""

    permitted: tuple[str, ...]
    excluded: tuple[Excluded, ...]


class Broken(NamedTuple):
    """The rule that a line breaks, and its scope."""

    rule: str
    scope: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """Rules of policies for the lines themselves, each with its scope."""

    max_tokens: int | None = None
    max_tokens_of: str = ""
    tools_of: str | None = None
    """Scope that denies tools; None: they are allowed."""
    zdr_of: str | None = None
    """Scope that demands zero data retention; None: a line may ask the provider to keep data."""

    def broken_by(self, ask: Ask) -> Broken | None:
        """Return which rule a line breaks that asks for so much; one that sets no limit breaks none of them."""
        if self.max_tokens is not None and ask.output > self.max_tokens:
            return Broken("max_tokens", self.max_tokens_of)
        if self.tools_of is not None and ask.tools:
            return Broken("tools", self.tools_of)
        if self.zdr_of is not None and ask.kept:
            return Broken("zdr", self.zdr_of)
        return None


def bounds_of(policies: Iterable[Policy]) -> Bounds:
    """Return the rules of all `policies` for lines: the lowest cap of tokens; no tools, or retention, if one denies."""
    applying = list(policies)
    capped = [(p.rules.max_tokens, p.scope) for p in applying if p.rules.max_tokens is not None]
    least, scope = min(capped, key=lambda one: one[0], default=(None, ""))
    denying = (policy.scope for policy in applying if policy.rules.tools is not None)
    keeping_none = (policy.scope for policy in applying if policy.rules.zdr)
    return Bounds(least, scope, next(denying, None), next(keeping_none, None))


def guard_of(policies: Iterable[Policy]) -> GuardRules:
    """Return the detectors of all `policies` together."""
    return combine(
        Filters(one.scope, one.rules.content_filter_builtins, one.rules.content_filters)
        for one in policies
    )


def permit(endpoints: Sequence[Endpoint], policies: Iterable[Policy]) -> Permission:
    """Return the `endpoints` that all policies permit."""
    applying = list(policies)
    permitted, excluded = [], []
    for endpoint in endpoints:
        broken = next(
            (
                Excluded(endpoint=endpoint.name, scope=policy.scope, rule=rule)
                for policy in applying
                if (rule := policy.rules.broken_by(endpoint)) is not None
            ),
            None,
        )
        if broken is None:
            permitted.append(endpoint.name)
        else:
            excluded.append(broken)
    return Permission(permitted=tuple(permitted), excluded=tuple(excluded))


def _is_among(name: str, patterns: Sequence[str]) -> bool:
    return any(is_meant(name, pattern) for pattern in patterns)


def is_meant(name: str, pattern: str) -> bool:
    """Return whether `name` matches `pattern`, in which `*` matches any text.

    why: each part is taken at its first place, in one pass. A regular expression would try all places, and tenants
    write the patterns: eleven stars would take seconds.
    """
    first, *middle = pattern.split("*")
    if not middle:
        return name == pattern
    last = middle.pop()
    if not (name.startswith(first) and name.endswith(last)):
        return False
    place, end = len(first), len(name) - len(last)
    for part in middle:
        found = name.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return place <= end


def _is_outside(name: str, patterns: Sequence[str] | None) -> bool:
    return patterns is not None and not _is_among(name, patterns)


def _is_none_of(name: str, allowed: Sequence[str] | None) -> bool:
    return allowed is not None and name not in allowed


def _is_above(price: Decimal, limit: Decimal | None) -> bool:
    return limit is not None and price > limit
