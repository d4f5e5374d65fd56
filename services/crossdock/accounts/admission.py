"""May a parcel be worked on, and by which endpoints? Pure.

Whether its key had expired is asked once, by ingress: what was accepted before goes on, so that a batch outlives the
overlap of a rotation. Whether it was taken away is asked here, for each parcel, by the one who takes keys away; and so
is what policies say now.
"""

from crossdock.accounts.state import AccountState
from crossdock.kernel.refusal import Refusal
from crossdock_schemas.account import ApiKey
from crossdock_schemas.catalogue import Catalogue
from crossdock_schemas.directory import level_of, policy_id
from crossdock_schemas.parcel import Parcel
from crossdock_schemas.policy import Permission, Policy, permit

DENIED = "permission_denied"
GONE = Refusal(401, "invalid_api_key", "The API key that asked for this was deleted.")
DISABLED = Refusal(401, "invalid_api_key", "The API key that asked for this is disabled.")
STOPPED = Refusal(403, DENIED, "The project of the API key is disabled.", DENIED)
MAX_TOLD = 8  # endpoints of which a refusal tells why
MAX_KNOWN = 10_000


class Admission:
    """Answers for parcels. What policies leave of a wish is worked out once for each version of them."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._known: dict[tuple[object, ...], Permission] = {}

    def admit(self, state: AccountState | None, parcel: Parcel) -> Refusal | tuple[str, ...] | None:
        """Return why `parcel` is refused, or the endpoints that policies leave it; None: they forbid nothing."""
        key = state.keys.get(parcel.key_id) if state is not None else None
        if state is None or key is None:
            return GONE
        if key.disabled:
            return DISABLED
        if state.projects[key.project].disabled:
            return STOPPED
        policies = applying(state, key)
        if not policies:
            return None
        permission = self._permission(policies, parcel.model, parcel.operation)
        if not permission.excluded:
            return None
        return permission.permitted or _refused(parcel.model, permission)

    def _permission(self, policies: list[Policy], model: str, operation: str) -> Permission:
        wish = (*((policy.scope, policy.version) for policy in policies), model, operation)
        known = self._known.get(wish)
        if known is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            known = permit(self._catalogue.serving(model, operation), policies)
            self._known[wish] = known
        return known


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
