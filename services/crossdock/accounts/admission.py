"""May a parcel be worked on, and by which endpoints? Pure.

Whether its key had expired is asked once, by ingress: what was accepted before goes on, so that a batch outlives the
overlap of a rotation. Whether it was taken away is asked here, for each parcel, by the one who takes keys away; and so
is what policies say now.
"""

from dataclasses import dataclass

from crossdock.accounts.own import choose_own, concerning
from crossdock.accounts.state import AccountState
from crossdock.kernel.refusal import Refusal
from crossdock_schemas.account import ApiKey
from crossdock_schemas.batch import WaitReason
from crossdock_schemas.catalogue import Catalogue, Endpoint
from crossdock_schemas.credential import Credential, CredentialRef
from crossdock_schemas.directory import level_of, policy_id
from crossdock_schemas.parcel import Parcel
from crossdock_schemas.policy import Permission, Policy, permit

DENIED = "permission_denied"
GONE = Refusal(401, "invalid_api_key", "The API key that asked for this was deleted.")
DISABLED = Refusal(401, "invalid_api_key", "The API key that asked for this is disabled.")
STOPPED = Refusal(403, DENIED, "The project of the API key is disabled.", DENIED)
MAX_TOLD = 8  # endpoints of which a refusal tells why
MAX_KNOWN = 10_000


@dataclass(frozen=True, slots=True)
class Permit:
    """The endpoints that may be called. `names` is None where policies forbid none of those that serve the wish."""

    endpoints: tuple[Endpoint, ...]
    names: tuple[str, ...] | None = None
    shared: tuple[str, ...] | None = None
    """Of them those that the installation's key may be used at; None: all."""
    credentials: tuple[CredentialRef, ...] | None = None
    """Own provider keys that may be used; None: none."""


class Admission:
    """Answers for parcels. What policies leave of a wish is worked out once for each version of them."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._known: dict[tuple[object, ...], Permit | Refusal] = {}

    def admit(self, state: AccountState | None, parcel: Parcel) -> Permit | Refusal:
        """Return why `parcel` is refused, or the endpoints that it may use."""
        key = state.keys.get(parcel.key_id) if state is not None else None
        if state is None or key is None:
            return GONE
        if key.disabled:
            return DISABLED
        if state.projects[key.project].disabled:
            return STOPPED
        policies, own = applying(state, key), concerning(state, key)
        wish = (
            *((policy.scope, policy.version) for policy in policies),
            *((credential.credential_id, credential.version) for credential in own),
            parcel.model,
            parcel.operation,
        )
        known = self._known.get(wish)
        if known is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            known = self._permit(policies, own, parcel.model, parcel.operation)
            self._known[wish] = known
        return known

    def _permit(
        self, policies: list[Policy], own: list[Credential], model: str, operation: str
    ) -> Permit | Refusal:
        endpoints = self._catalogue.serving(model, operation)
        permission = permit(endpoints, policies)
        if not permission.excluded:
            return _with_own(own, endpoints, None, model)
        if not permission.permitted:
            return _refused(model, permission)
        left = tuple(one for one in endpoints if one.name in permission.permitted)
        return _with_own(own, left, permission.permitted, model)


def _with_own(
    own: list[Credential],
    endpoints: tuple[Endpoint, ...],
    names: tuple[str, ...] | None,
    model: str,
) -> Permit | Refusal:
    """Return what own provider keys make of the endpoints that policies leave."""
    found = choose_own(own, endpoints, model)
    if endpoints and not found.endpoints:
        message = (
            f"Own provider keys close every endpoint of {model!r} to the installation's keys (is_byok_only), "
            "and none of them covers the model."
        )
        return Refusal(403, DENIED, message, DENIED, "model")
    return Permit(found.endpoints, names, found.shared, found.credentials)


def not_now(why: WaitReason) -> Refusal:
    """Return how a single request ends that may not begin now."""
    if why.code == "rate_limit_exceeded":
        wait_ms = (why.until_ms or why.since_ms) - why.since_ms
        return Refusal(429, why.code, why.message, "requests", retry_after_s=-(-wait_ms // 1000))
    return Refusal(402, why.code, why.message, "payment_required")


def applying(state: AccountState, key: ApiKey) -> list[Policy]:
    """Return the policies that bind `key`: its organization's, its project's, its own."""
    scopes = (state.account, key.project, key.key_id)
    found = (state.policies.get(policy_id(scope)) for scope in scopes)
    return [policy for policy in found if policy is not None]


def _refused(model: str, permission: Permission) -> Refusal:
    told = [
        f"{one.endpoint} by {one.rule} of the {level_of(one.scope)} {one.scope}"
        for one in permission.excluded[:MAX_TOLD]
    ]
    more = len(permission.excluded) - MAX_TOLD
    rest = f"; and {more} more" if more > 0 else ""
    message = f"Policies permit no endpoint of {model!r}. Excluded: {'; '.join(told)}{rest}."
    return Refusal(403, DENIED, message, DENIED, "model")
