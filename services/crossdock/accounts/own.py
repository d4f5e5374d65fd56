"""Which own provider keys may serve a wish, and what they leave to the installation's. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from crossdock.accounts.state import AccountState
from crossdock_schemas.account import ApiKey
from crossdock_schemas.catalogue import Endpoint
from crossdock_schemas.credential import Credential, CredentialRef

MAX_OWN = 16  # own keys in one plan: some 5 KB of an envelope; those that come first


@dataclass(frozen=True, slots=True)
class Own:
    """What own keys make of the permitted endpoints."""

    endpoints: tuple[Endpoint, ...]
    """Those that somebody's key may be used at."""
    shared: tuple[str, ...] | None = None
    """Names of those at which the installation's may; None: at all that are permitted."""
    credentials: tuple[CredentialRef, ...] | None = None


def concerning(state: AccountState, key: ApiKey) -> list[Credential]:
    """Return the own provider keys that requests of `key` may use, whatever their model."""
    return [one for one in state.credentials.values() if one.concerns(key)]


def choose_own(
    credentials: Sequence[Credential], endpoints: tuple[Endpoint, ...], model: str
) -> Own:
    """Return what `credentials`, which concern the request's key, make of the permitted `endpoints` of `model`."""
    if not credentials:
        return Own(endpoints)
    covering = [one for one in credentials if one.covers(model)]
    serving = {endpoint.provider for endpoint in endpoints}
    chosen = sorted((one for one in covering if one.provider in serving), key=_place)[:MAX_OWN]
    closed = {one.provider for one in credentials if one.is_byok_only}
    closed |= {one.provider for one in covering if one.is_required}
    left = tuple(one.name for one in endpoints if one.provider not in closed)
    reached = {one.provider for one in chosen} | (serving - closed)
    return Own(
        endpoints=tuple(one for one in endpoints if one.provider in reached),
        shared=None if len(left) == len(endpoints) else left,
        credentials=tuple(map(_ref, chosen)) or None,
    )


def _place(credential: Credential) -> tuple[bool, int, str]:
    return credential.is_fallback, credential.sort_order, credential.credential_id


def _ref(credential: Credential) -> CredentialRef:
    return CredentialRef(
        credential_id=credential.credential_id,
        provider=credential.provider,
        is_fallback=credential.is_fallback,
        sort_order=credential.sort_order,
        version=credential.secret_version,
    )
