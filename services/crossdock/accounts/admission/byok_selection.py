"""Which own provider keys may serve a wish, and what they leave to the installation's. Pure."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from crossdock.accounts.state.account import AccountState
from crossdock_schemas.accounts.account import ApiKey
from crossdock_schemas.accounts.credential import Credential, CredentialRef
from crossdock_schemas.accounts.policy import Policy, permit
from crossdock_schemas.ids import CredentialId
from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.pricing.catalogue import Endpoint

MAX_OWN = 16  # own keys in one plan: some 5 KB of an envelope; those that come first


@dataclass(frozen=True, slots=True)
class Own:
    """What own keys make of the endpoints that serve a wish."""

    endpoints: tuple[Endpoint, ...]
    """Those that somebody's key may be used at."""
    shared: tuple[str, ...] | None = None
    """Names of those at which the installation's may; None: at all of them."""
    credentials: tuple[CredentialRef, ...] | None = None


class Concerned(NamedTuple):
    """Lines of a parcel, by their places, and the own provider keys that concern all of them."""

    credentials: Sequence[Credential]
    places: Sequence[int]


def concerning(
    state: AccountState, key: ApiKey, parcel: Parcel, endpoints: Sequence[Endpoint]
) -> list[Concerned]:
    """Return the own provider keys that concern `parcel`, of `key`: lines that the same ones concern go together.

    Only keys for some end users part lines, and of these only such as open or close any of the `endpoints`.
    """
    found = [one for one in state.credentials.values() if one.concerns(key)]
    users = set(parcel.users)
    whom = {
        one.credential_id: names
        for one in found
        if one.allowed_users is not None
        and (names := users.intersection(one.allowed_users))
        and one.bears_on(parcel.model)
        and any(endpoint.provider == one.provider for endpoint in endpoints)
    }
    if not whom:
        everybodys = [one for one in found if one.allowed_users is None]
        return [Concerned(everybodys, range(len(parcel.lines)))]
    places: dict[frozenset[CredentialId], list[int]] = {}
    for place, user in enumerate(parcel.users):
        theirs = frozenset(identifier for identifier, names in whom.items() if user in names)
        places.setdefault(theirs, []).append(place)
    return [
        Concerned([o for o in found if o.allowed_users is None or o.credential_id in theirs], of)
        for theirs, of in places.items()
    ]


def choose_own(
    credentials: Sequence[Credential],
    endpoints: Sequence[Endpoint],
    permitted: Collection[str],
    policies: Sequence[Policy],
    model: str,
) -> Own:
    """Return what `credentials`, which concern the request's key, make of the `endpoints` that serve `model`.

    `permitted`: names of those that `policies` leave to the installation's key. What the owner of an own key declares
    counts for calls with that key alone: it may reach what the installation's may not, and the other way round.
    """
    covering = sorted((one for one in credentials if one.covers(model)), key=_place)
    reach = [(one, _reached(one, endpoints, policies)) for one in covering]
    chosen = [(one, names) for one, names in reach if names][:MAX_OWN]
    closed = {one.provider for one in credentials if one.is_byok_only}
    closed |= {one.provider for one in covering if one.is_required}
    shared = {e.name for e in endpoints if e.name in permitted and e.provider not in closed}
    left = tuple(e for e in endpoints if e.name in shared.union(*(names for _, names in chosen)))
    return Own(
        endpoints=left,
        shared=None
        if len(shared) == len(left)
        else tuple(e.name for e in left if e.name in shared),
        credentials=tuple(_ref(one, names, left) for one, names in chosen) or None,
    )


def _reached(
    credential: Credential, endpoints: Iterable[Endpoint], policies: Sequence[Policy]
) -> set[str]:
    """Return the names of its provider's endpoints that policies leave to it, as its owner declares them."""
    own = [credential.declared(e) for e in endpoints if e.provider == credential.provider]
    return set(permit(own, policies).permitted)


def _place(credential: Credential) -> tuple[bool, int, str]:
    return credential.is_fallback, credential.sort_order, credential.credential_id


def _ref(credential: Credential, names: set[str], left: Iterable[Endpoint]) -> CredentialRef:
    there = {endpoint.name for endpoint in left if endpoint.provider == credential.provider}
    return CredentialRef(
        credential_id=credential.credential_id,
        provider=credential.provider,
        is_fallback=credential.is_fallback,
        sort_order=credential.sort_order,
        version=credential.secret_version,
        endpoints=None if names == there else tuple(sorted(names)),
    )
