"""Makes plans. Pure: the same parcel, catalogue and fleet give the same plan."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b

from crossdock.kernel.requests.exclusion import serving_others
from crossdock_schemas.accounts.credential import CredentialRef
from crossdock_schemas.accounts.policy import Excluded
from crossdock_schemas.calls.fleet import EndpointHealth, health_name
from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.parcel.plan import Candidate, Plan
from crossdock_schemas.pricing.catalogue import Catalogue, Endpoint
from crossdock_schemas.pricing.worst_case import output_limit, told_limit

MIN_CALLS = 5  # fewer calls are too few to judge the health of an endpoint
MAX_CANDIDATES = 64  # of a plan; each takes up to 1 KB of the envelope
STALE_MS = 60_000  # health older than this is forgotten
_FREE = Decimal(
    "0.000001"
)  # the price of a free endpoint, for its weight: the cheapest, and no division by zero


@dataclass(frozen=True, slots=True)
class NoRoute:
    """No endpoint in the catalogue serves the parcel."""

    model: str
    operation: str
    excluded: tuple[Excluded, ...] = ()
    """The reason for each endpoint of the model."""


Fleet = Mapping[str, Sequence[EndpointHealth]]
"""The reports of workers by endpoint, or by endpoint and BYOK key (`health_name`)."""


@dataclass(frozen=True, slots=True)
class KeyedEndpoint:
    """An endpoint with the key for its calls; None: the installation key."""

    endpoint: Endpoint
    byok: CredentialRef | None = None

    @property
    def name(self) -> str:
        byok = self.byok
        return health_name(self.endpoint.name, None if byok is None else byok.credential_id)

    @property
    def place(self) -> int:
        """Its class: BYOK keys, the installation key, BYOK keys for fallback."""
        if self.byok is None:
            return 1
        return 2 if self.byok.is_fallback else 0

    @property
    def sort_order(self) -> int:
        return 0 if self.byok is None else self.byok.sort_order


def plan_route(
    parcel: Parcel, catalogue: Catalogue, fleet: Fleet, *, now_ms: int, sick_error_rate: float
) -> Plan | NoRoute:
    """Order the endpoints with their keys: BYOK keys, the installation key, BYOK keys for fallback.

    Within each class: healthy before sick, BYOK keys in their owner's order, then price-weighted by a rendezvous hash
    of the parcel.
    """
    endpoints = [
        endpoint
        for endpoint in catalogue.serving(parcel.model, parcel.operation)
        if _is_permitted(parcel, endpoint)
    ]
    choices = list(_choices(parcel, endpoints))
    if not choices:
        return NoRoute(parcel.model, parcel.operation, _excluded(parcel, catalogue))
    sick = {
        choice.name
        for choice in choices
        if is_sick(fleet.get(choice.name, ()), now_ms=now_ms, limit=sick_error_rate)
    }

    def rank(choice: KeyedEndpoint) -> tuple[object, ...]:
        chance = -_draw(parcel.parcel_id, choice)
        return choice.place, choice.name in sick, choice.sort_order, chance, choice.name

    is_limited = parcel.hold is not None and parcel.hold.is_limited
    ordered = sorted(choices, key=rank)[:MAX_CANDIDATES]
    return Plan(
        candidates=tuple(
            _candidate(choice, choice.name in sick, parcel, is_limited=is_limited)
            for choice in ordered
        )
    )


def _excluded(parcel: Parcel, catalogue: Catalogue) -> tuple[Excluded, ...]:
    """Return why no endpoint of the model can be called, by the policies and BYOK keys that accounts found."""
    offered = catalogue.offering(parcel.model)
    left = (
        Excluded(
            endpoint=endpoint.name,
            scope=parcel.key_id,
            rule="own_keys" if _is_permitted(parcel, endpoint) else "policies",
        )
        for endpoint in catalogue.serving(parcel.model, parcel.operation)
    )
    return (*serving_others(offered, parcel.operation), *left)


def _is_permitted(parcel: Parcel, endpoint: Endpoint) -> bool:
    return parcel.permitted is None or endpoint.name in parcel.permitted


def _choices(parcel: Parcel, endpoints: Sequence[Endpoint]) -> Iterable[KeyedEndpoint]:
    """Yield each endpoint with each key that accounts permits for it."""
    for endpoint in endpoints:
        if parcel.shared is None or endpoint.name in parcel.shared:
            yield KeyedEndpoint(endpoint)
        for byok in parcel.credentials or ():
            if byok.may_call(endpoint):
                yield KeyedEndpoint(endpoint, byok)


def is_sick(reports: Sequence[EndpointHealth], *, now_ms: int, limit: float) -> bool:
    """Return whether an endpoint is paused, or fails too often over the calls of all workers."""
    fresh = [report for report in reports if now_ms - report.at_ms <= STALE_MS]
    if any(report.closed_until_ms > now_ms for report in fresh):
        return True
    calls = sum(report.calls for report in fresh)
    errors = sum(report.error_rate * report.calls for report in fresh)
    return calls >= MIN_CALLS and errors / calls > limit


def _draw(seed: str, choice: KeyedEndpoint) -> float:
    """Return a weighted rendezvous draw: with weight 1/price², the highest wins in proportion to its weight."""
    digest = blake2b(f"{seed}|{choice.name}".encode(), digest_size=8).digest()
    chance = (int.from_bytes(digest) + 1) / (2**64 + 1)
    prices = choice.endpoint.prices
    price = float(max(_FREE, prices.input + prices.output))
    return -(price**-2) / math.log(chance)


def _candidate(choice: KeyedEndpoint, sick: bool, parcel: Parcel, *, is_limited: bool) -> Candidate:
    endpoint, byok, cap = choice.endpoint, choice.byok, parcel.max_tokens
    longest = max(parcel.input_most, default=parcel.input_bytes)
    return Candidate(
        provider=endpoint.provider,
        model=endpoint.model,
        upstream_model=endpoint.upstream_model,
        prices=endpoint.prices,
        reason=_reason(byok, sick),
        output_limit=told_limit(endpoint, cap, is_limited=is_limited, input_most=longest),
        max_tokens_parameter=endpoint.max_tokens_parameter,
        input_most=endpoint.context_length,
        output_most=output_limit(endpoint, cap),
        credential_id=None if byok is None else byok.credential_id,
        credential_version=None if byok is None else byok.version,
    )


def _reason(byok: CredentialRef | None, sick: bool) -> str:
    if byok is not None:
        return "byok:fallback" if byok.is_fallback else "byok"
    return "balanced:sick" if sick else "balanced"
