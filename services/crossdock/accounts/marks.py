"""What calls are booked under: the tags of a request, its key and its project. Pure."""

from crossdock.accounts.state import AccountState
from crossdock_schemas.account import ApiKey
from crossdock_schemas.parcel import Parcel


def tags_of(state: AccountState, key: ApiKey, parcel: Parcel) -> dict[str, str]:
    """Return the tags of what `parcel` asks for: the request's go before the key's, and those before the project's.

    A parcel that was admitted before keeps the tags that it had then.
    """
    return state.projects[key.project].tags | key.tags | parcel.tags
