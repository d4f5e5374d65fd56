"""Which endpoint first? A pure decision: the same parcel, catalogue and fleet give the same plan."""

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
from crossdock_schemas.pricing.worst_case import told_limit

MIN_CALLS = 5  # fewer tell nothing of an endpoint's health
STALE_MS = 60_000  # health older than this is forgotten
_FREE = Decimal("0.000001")  # weighs an endpoint without a price: cheapest, and no division by zero


@dataclass(frozen=True, slots=True)
class NoRoute:
    """Nobody in the catalogue serves the wish."""

    model: str
    operation: str
    excluded: tuple[Excluded, ...] = ()
    """Why each endpoint of the model does not."""


Fleet = Mapping[str, Sequence[EndpointHealth]]
"""By endpoint, or endpoint and own key (`health_name`), what each worker says."""


@dataclass(frozen=True, slots=True)
class Way:
    """An endpoint, and whose key calls it."""

    endpoint: Endpoint
    own: CredentialRef | None = None

    @property
    def name(self) -> str:
        own = self.own
        return health_name(self.endpoint.name, None if own is None else own.credential_id)

    @property
    def place(self) -> int:
        """Its class: own keys, the installation's, own keys to fall back on."""
        if self.own is None:
            return 1
        return 2 if self.own.is_fallback else 0

    @property
    def sort_order(self) -> int:
        return 0 if self.own is None else self.own.sort_order


def plan_route(
    parcel: Parcel, catalogue: Catalogue, fleet: Fleet, *, now_ms: int, sick_error_rate: float
) -> Plan | NoRoute:
    """Order the ways: own keys, the installation's, own ones to fall back on.

    Within each: healthy before sick, own keys as their owner sorts them, then price-weighted by a rendezvous hash of
    the parcel.
    """
    endpoints = [
        endpoint
        for endpoint in catalogue.serving(parcel.model, parcel.operation)
        if _is_permitted(parcel, endpoint)
    ]
    ways = list(_ways(parcel, endpoints))
    if not ways:
        return NoRoute(parcel.model, parcel.operation, _excluded(parcel, catalogue))
    sick = {
        way.name
        for way in ways
        if is_sick(fleet.get(way.name, ()), now_ms=now_ms, limit=sick_error_rate)
    }

    def rank(way: Way) -> tuple[object, ...]:
        chance = -_draw(parcel.parcel_id, way)
        return way.place, way.name in sick, way.sort_order, chance, way.name

    is_limited = parcel.hold is not None and parcel.hold.is_limited
    ordered = sorted(ways, key=rank)
    return Plan(
        candidates=tuple(
            _candidate(way, way.name in sick, parcel.max_tokens, is_limited=is_limited)
            for way in ordered
        )
    )


def _excluded(parcel: Parcel, catalogue: Catalogue) -> tuple[Excluded, ...]:
    """Return why no endpoint of the model is a way, policies and own keys as accounts had them."""
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


def _ways(parcel: Parcel, endpoints: Sequence[Endpoint]) -> Iterable[Way]:
    """Yield every way that accounts permits: each own key makes a copy of its provider's endpoints."""
    for endpoint in endpoints:
        if parcel.shared is None or endpoint.name in parcel.shared:
            yield Way(endpoint)
        for own in parcel.credentials or ():
            if own.may_call(endpoint):
                yield Way(endpoint, own)


def is_sick(reports: Sequence[EndpointHealth], *, now_ms: int, limit: float) -> bool:
    """Say whether an endpoint is closed, or fails too often, by the calls of all workers together."""
    fresh = [report for report in reports if now_ms - report.at_ms <= STALE_MS]
    if any(report.closed_until_ms > now_ms for report in fresh):
        return True
    calls = sum(report.calls for report in fresh)
    errors = sum(report.error_rate * report.calls for report in fresh)
    return calls >= MIN_CALLS and errors / calls > limit


def _draw(seed: str, way: Way) -> float:
    """Return a weighted rendezvous draw: with weight 1/price², the highest wins in proportion to its weight."""
    digest = blake2b(f"{seed}|{way.name}".encode(), digest_size=8).digest()
    chance = (int.from_bytes(digest) + 1) / (2**64 + 1)
    prices = way.endpoint.prices
    price = float(max(_FREE, prices.input + prices.output))
    return -(price**-2) / math.log(chance)


def _candidate(way: Way, sick: bool, cap: int | None, *, is_limited: bool) -> Candidate:
    endpoint, own = way.endpoint, way.own
    return Candidate(
        provider=endpoint.provider,
        model=endpoint.model,
        upstream_model=endpoint.upstream_model,
        prices=endpoint.prices,
        reason=_reason(own, sick),
        output_limit=told_limit(endpoint, cap, is_limited=is_limited),
        max_tokens_parameter=endpoint.max_tokens_parameter,
        credential_id=None if own is None else own.credential_id,
        credential_version=None if own is None else own.version,
    )


def _reason(own: CredentialRef | None, sick: bool) -> str:
    if own is not None:
        return "byok:fallback" if own.is_fallback else "byok"
    return "balanced:sick" if sick else "balanced"
