"""The reasons that exclude endpoints of a model: policies, BYOK keys, the request, or the catalogue. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from crossdock_schemas.accounts.directory import level_of
from crossdock_schemas.accounts.policy import Excluded
from crossdock_schemas.pricing.catalogue import Endpoint

CATALOGUE = "catalogue"
MAX_LISTED = 20  # some 2 KB, 32 times in a parcel's results


def excluded_by(excluded: Sequence[Excluded]) -> Mapping[str, object]:
    """Return, for programs, the reason for each endpoint, and the number of endpoints that are left out."""
    listed = [
        {**one.model_dump(mode="json"), "level": _level(one.scope)} for one in excluded[:MAX_LISTED]
    ]
    more = len(excluded) - len(listed)
    return {"excluded_by": listed, **({"excluded_more": more} if more else {})}


def serving_others(endpoints: Iterable[Endpoint], operation: str) -> tuple[Excluded, ...]:
    """Return those of `endpoints` that do not serve `operation`."""
    return tuple(
        Excluded(endpoint=endpoint.name, scope=CATALOGUE, rule="operations")
        for endpoint in endpoints
        if operation not in endpoint.operations
    )


def _level(scope: str) -> str:
    return CATALOGUE if scope == CATALOGUE else level_of(scope)
