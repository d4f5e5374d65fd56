"""The caller in tests: the installation's own organization, and what the accounts shard writes about it."""

from collections.abc import Sequence

from crossdock.accounts.core import AccountsCore
from crossdock.ingress.http.auth import Principal
from crossdock.kernel.process.record import Outgoing
from crossdock.kernel.provisioning.first_organization import API_KEY, PROJECT, make_founded
from crossdock.kernel.requests.api_keys import digest
from crossdock_schemas.ids import OPERATOR

LOCAL = Principal(OPERATOR, PROJECT, API_KEY, None)
KEY_SECRET = "secret-of-the-tests-" + "0" * 20


def found_accounts(
    owner_key: str, api_key: str, now_ms: int
) -> tuple[AccountsCore, Sequence[Outgoing]]:
    """Return accounts with the first organization, and the records that show it."""
    core = AccountsCore()
    core.apply(make_founded(digest(owner_key), digest(api_key), now_ms), now_ms)
    return core, core.finish().outgoing
