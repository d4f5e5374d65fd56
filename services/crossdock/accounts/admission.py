"""May a parcel be worked on? Pure.

Whether its key had expired is asked once, by ingress: what was accepted before goes on, so that a batch outlives the
overlap of a rotation. Whether it was taken away is asked here, for each parcel, by the one who takes keys away.
"""

from crossdock.accounts.state import AccountState
from crossdock.kernel.refusal import Refusal
from crossdock_schemas.parcel import Parcel

GONE = Refusal(401, "invalid_api_key", "The API key that asked for this was deleted.")
DISABLED = Refusal(401, "invalid_api_key", "The API key that asked for this is disabled.")
STOPPED = Refusal(
    403,
    "permission_denied",
    "The project of the API key that asked for this is disabled.",
    "permission_denied",
)


def why_refused(state: AccountState | None, parcel: Parcel) -> Refusal | None:
    """Return why `parcel` is not admitted; None if it is."""
    key = state.keys.get(parcel.key_id) if state is not None else None
    if state is None or key is None:
        return GONE
    if key.disabled:
        return DISABLED
    return STOPPED if state.projects[key.project].disabled else None
