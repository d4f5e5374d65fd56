"""Authentication: finds the API key of a request in the directory, and checks that it may be used."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import Scope

from crossdock.ingress.http.clients import Clients, GuessLimit
from crossdock.ingress.values import errors
from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.operations import Access
from crossdock.ingress.views.accounts import AccountsView
from crossdock.ingress.views.read_your_writes import RECENT_MS
from crossdock.kernel.process.clock import Clock
from crossdock.kernel.requests.api_keys import digest, read_plain_key
from crossdock_schemas.accounts.account import ApiKey, Role
from crossdock_schemas.accounts.networks import is_within
from crossdock_schemas.ids import AccountId, KeyId, ProjectId

NEW_KEY_S = 0.5  # a key made by another ingress is waited for this long
SCOPE = "crossdock.principal"


@dataclass(frozen=True, slots=True)
class Principal:
    """The owner of a request. Objects of another organization or project do not exist for it."""

    account: AccountId
    project: ProjectId
    key_id: KeyId
    role: Role | None
    address: str = ""
    """The caller's; empty: not known."""

    def owns(self, account: AccountId, project: ProjectId) -> bool:
        return (account, project) == (self.account, self.project)

    def sees_project(self, project: ProjectId) -> bool:
        """Return whether it sees a project: a member and an inference key see their own alone."""
        return self.role not in {Role.MEMBER, None} or project == self.project


def principal_of(request: Request) -> Principal:
    found: Principal = request.scope[SCOPE]
    return found


def account_of(request: Request) -> str:
    """Return the organization of a request; empty for one without a key."""
    found: Principal | None = request.scope.get(SCOPE)
    return "" if found is None else found.account


class Authentication:
    """Finds the principal of a request."""

    def __init__(
        self, view: AccountsView, secret: str, clock: Clock, clients: Clients | None = None
    ) -> None:
        self._view = view
        self._secret = secret
        self._clock = clock
        self._clients = clients or Clients()
        self._guesses = GuessLimit()

    async def check(self, scope: Scope, access: Access) -> Principal:
        """Return the principal of the request's key.

        Raises:
            RefusedError: 401 if the key is not valid, 403 if it may not be used for this, or from this address, 429 if
                too many unknown keys came from the address.
        """
        address = self._clients.address_of(scope)
        key = await self._find(_bearer(scope))
        if key is None:
            raise self._unknown(address)
        if not key.is_alive(self._clock.now_ms()):
            raise errors.dead_key(is_disabled=key.disabled)
        project = self._view.projects.get(key.project)
        if project is None or project.disabled:
            raise errors.not_permitted(f"The key's project, {key.project!r}, is disabled.")
        self._check_address(key, address)
        _check_kind(key, access)
        return Principal(key.account, key.project, key.key_id, key.role, address)

    def _unknown(self, address: str) -> RefusedError:
        """Return the refusal of an unknown key. Known keys of the same address are not slowed down."""
        wait_s = self._guesses.count(address, self._clock.now_ms())
        return errors.bad_key(given=True) if wait_s is None else errors.too_many_guesses(wait_s)

    async def _find(self, plain: str) -> ApiKey | None:
        hashed = digest(plain)
        key = self._view.key_of(hashed)
        if key is None and not self._view.is_gone(hashed) and self._is_new(plain):
            key = await self._view.arrivals.until(
                hashed, lambda: self._view.key_of(hashed), timeout_s=NEW_KEY_S
            )
        return key

    def _is_new(self, plain: str) -> bool:
        """Return whether `plain` is authentic and so new that the directory may not show it yet."""
        authentic = read_plain_key(plain, self._secret)
        now_ms = self._clock.now_ms()
        return authentic is not None and abs(now_ms - authentic.made_at_ms) < RECENT_MS

    def _check_address(self, key: ApiKey, address: str) -> None:
        organization = self._view.organizations.get(key.account)
        demanded = (organization.allowed_ips if organization else (), key.allowed_ips)
        if not all(is_within(address, networks) for networks in demanded if networks):
            raise errors.not_permitted(f"The key may not be used from {address or 'there'}.")


def _bearer(scope: Scope) -> str:
    given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    scheme, _, key = given.partition(b" ")
    if scheme.lower() != b"bearer" or not key.strip():
        raise errors.bad_key(given=False)
    text: str = key.strip().decode("latin-1")
    return text


def _check_kind(key: ApiKey, access: Access) -> None:
    if not key.is_management and not access.takes_inference:
        raise errors.not_permitted("An inference key manages nothing. Use a management key.")
    if key.is_management and not access.takes_management:
        raise errors.not_permitted(
            "A management key runs no requests and sees no files or batches. Use an inference key."
        )
