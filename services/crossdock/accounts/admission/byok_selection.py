"""BYOK selection: which BYOK keys may be used, and which endpoints remain for the installation key. Pure."""

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

MAX_BYOK_KEYS = 16  # of one plan, the first ones in order: some 5 KB of an envelope


@dataclass(frozen=True, slots=True)
class ByokSelection:
    """The endpoints that may be used, with which keys."""

    endpoints: tuple[Endpoint, ...]
    """Those that any key may be used at."""
    shared: tuple[str, ...] | None = None
    """Names of those that the installation key may be used at; None: all."""
    credentials: tuple[CredentialRef, ...] | None = None


class ConcernedLines(NamedTuple):
    """Lines of a parcel, by their places, and the BYOK keys that concern all of them."""

    credentials: Sequence[Credential]
    places: Sequence[int]


def concerned_lines(
    state: AccountState, key: ApiKey, parcel: Parcel, endpoints: Sequence[Endpoint]
) -> list[ConcernedLines]:
    """Group the lines of `parcel`, of `key`, by the BYOK keys that concern them.

    Lines differ only by keys that are for some end users, and only if such a key opens or closes an endpoint.
    """
    found = [one for one in state.credentials.values() if one.concerns(key)]
    users = set(parcel.users)
    users_by_key = {
        one.credential_id: names
        for one in found
        if one.allowed_users is not None
        and (names := users.intersection(one.allowed_users))
        and one.bears_on(parcel.model)
        and any(endpoint.provider == one.provider for endpoint in endpoints)
    }
    if not users_by_key:
        for_all = [one for one in found if one.allowed_users is None]
        return [ConcernedLines(for_all, range(len(parcel.lines)))]
    places: dict[frozenset[CredentialId], list[int]] = {}
    for place, user in enumerate(parcel.users):
        concerning = frozenset(
            identifier for identifier, names in users_by_key.items() if user in names
        )
        places.setdefault(concerning, []).append(place)
    return [
        ConcernedLines(
            [o for o in found if o.allowed_users is None or o.credential_id in concerning], of
        )
        for concerning, of in places.items()
    ]


def select_byok_keys(
    credentials: Sequence[Credential],
    endpoints: Sequence[Endpoint],
    permitted: Collection[str],
    policies: Sequence[Policy],
    model: str,
) -> ByokSelection:
    """Select the `endpoints`, which serve `model`, and the `credentials`, which concern the request's key, to be used.

    `permitted`: names of the endpoints that `policies` permit for the installation key. The declarations of a BYOK key
    count for calls with that key only: it may reach endpoints that the installation key may not, and vice versa.
    """
    covering = sorted((one for one in credentials if one.covers(model)), key=_place)
    reach = [(one, _reached(one, endpoints, policies)) for one in covering]
    chosen = [(one, names) for one, names in reach if names][:MAX_BYOK_KEYS]
    closed = {one.provider for one in credentials if one.is_byok_only}
    closed |= {one.provider for one in covering if one.is_required}
    shared = {e.name for e in endpoints if e.name in permitted and e.provider not in closed}
    left = tuple(e for e in endpoints if e.name in shared.union(*(names for _, names in chosen)))
    return ByokSelection(
        endpoints=left,
        shared=None
        if len(shared) == len(left)
        else tuple(e.name for e in left if e.name in shared),
        credentials=tuple(_ref(one, names, left) for one, names in chosen) or None,
    )


def _reached(
    credential: Credential, endpoints: Iterable[Endpoint], policies: Sequence[Policy]
) -> set[str]:
    """Return the names of its provider's endpoints that policies permit, with the key's declarations."""
    declared = [credential.declared(e) for e in endpoints if e.provider == credential.provider]
    return set(permit(declared, policies).permitted)


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
