"""Which endpoint first? A pure decision: the same parcel, catalogue and fleet give the same plan."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b

from crossdock_schemas.ask import told_limit
from crossdock_schemas.catalogue import Catalogue, Endpoint
from crossdock_schemas.fleet import EndpointHealth
from crossdock_schemas.parcel import Candidate, Parcel, Plan

MIN_CALLS = 5  # fewer tell nothing of an endpoint's health
STALE_MS = 60_000  # health older than this is forgotten
_FREE = Decimal("0.000001")  # weighs an endpoint without a price: cheapest, and no division by zero


@dataclass(frozen=True, slots=True)
class NoRoute:
    """Nobody in the catalogue serves the wish."""

    model: str
    operation: str


Fleet = Mapping[str, Sequence[EndpointHealth]]
"""By endpoint name, what each worker says."""


def plan_route(
    parcel: Parcel, catalogue: Catalogue, fleet: Fleet, *, now_ms: int, sick_error_rate: float
) -> Plan | NoRoute:
    """Order the endpoints: healthy before sick, then price-weighted by a rendezvous hash of the parcel."""
    endpoints = [
        endpoint
        for endpoint in catalogue.serving(parcel.model, parcel.operation)
        if parcel.permitted is None or endpoint.name in parcel.permitted
    ]
    if not endpoints:
        return NoRoute(parcel.model, parcel.operation)
    sick = {
        e.name
        for e in endpoints
        if is_sick(fleet.get(e.name, ()), now_ms=now_ms, limit=sick_error_rate)
    }
    ordered = sorted(endpoints, key=lambda e: (e.name in sick, -_draw(parcel.parcel_id, e), e.name))
    is_limited = parcel.hold is not None and parcel.hold.is_limited
    return Plan(
        candidates=tuple(_candidate(e, e.name in sick, is_limited=is_limited) for e in ordered)
    )


def is_sick(reports: Sequence[EndpointHealth], *, now_ms: int, limit: float) -> bool:
    """Say whether an endpoint is closed, or fails too often, by the calls of all workers together."""
    fresh = [report for report in reports if now_ms - report.at_ms <= STALE_MS]
    if any(report.closed_until_ms > now_ms for report in fresh):
        return True
    calls = sum(report.calls for report in fresh)
    errors = sum(report.error_rate * report.calls for report in fresh)
    return calls >= MIN_CALLS and errors / calls > limit


def _draw(seed: str, endpoint: Endpoint) -> float:
    """Return a weighted rendezvous draw: with weight 1/price², the highest wins in proportion to its weight."""
    digest = blake2b(f"{seed}|{endpoint.name}".encode(), digest_size=8).digest()
    chance = (int.from_bytes(digest) + 1) / (2**64 + 1)
    price = float(max(_FREE, endpoint.prices.input + endpoint.prices.output))
    return -(price**-2) / math.log(chance)


def _candidate(endpoint: Endpoint, sick: bool, *, is_limited: bool) -> Candidate:
    return Candidate(
        provider=endpoint.provider,
        model=endpoint.model,
        upstream_model=endpoint.upstream_model,
        prices=endpoint.prices,
        reason="balanced:sick" if sick else "balanced",
        output_limit=told_limit(endpoint) if is_limited else None,
        max_tokens_parameter=endpoint.max_tokens_parameter,
    )
