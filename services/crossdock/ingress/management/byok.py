"""/v1/byok: BYOK keys, with OpenRouter's names. A key is sealed here and never shown again."""

from collections.abc import Sequence
from types import MappingProxyType

from starlette.requests import Request

from crossdock.ingress.commands.account_commands import AccountCommands, sign
from crossdock.ingress.http.auth import Principal, principal_of
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.http.scopes import find_project
from crossdock.ingress.management import byok_models as models
from crossdock.ingress.values import errors, types
from crossdock.ingress.values.models import Deleted
from crossdock.ingress.values.operations import ADMINS, OWNERS, operation
from crossdock.ingress.values.specimens import NONE_SUCH
from crossdock.kernel.drivers.envelope_encryption import MasterKeys
from crossdock.kernel.process.errors import SecretError
from crossdock.kernel.requests.provider_keys import BearerKey, ProviderKey, address_of
from crossdock_schemas.accounts.account import Role
from crossdock_schemas.accounts.control import (
    CredentialAsked,
    CredentialChange,
    CredentialDeletion,
    CredentialRewrap,
)
from crossdock_schemas.accounts.credential import Credential
from crossdock_schemas.accounts.secret import SealedSecret
from crossdock_schemas.ids import CredentialId, KeyId, ProjectId, make_credential_id
from crossdock_schemas.pricing.catalogue import Provider

MANAGERS = (Role.OWNER, Role.ADMIN)
REFUSED = (401, 403)
GOOD = range(200, 300)
_PATH = "/v1/byok/{id}"
_BAD_SHAPE = errors.no_secret("resource_name", "Field required.")
_SEALED = {
    "account": "org_local",
    "credential_id": "byok_" + "0" * 32,
    "version": 1,
    "master_key_id": "0" * 8,
    **dict.fromkeys(("wrap_nonce", "wrapped_key", "nonce", "ciphertext"), "AAAA"),
}


class CredentialRoutes:
    """BYOK keys."""

    tag = "BYOK keys"
    ids = MappingProxyType({"id": types.ByokId})

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._commands = AccountCommands(context)

    @operation("GET", "/v1/byok", "list_byok", "List BYOK keys, the oldest first")
    async def list(self, request: Request) -> models.ByokListAnswer:
        who = principal_of(request)
        found = [one for one in self._credentials.values() if _is_visible(who, one)]
        found.sort(key=lambda one: (one.created_at_ms, one.credential_id))
        return models.ByokListAnswer(data=tuple(map(self._show, found)), total_count=len(found))

    @operation("GET", _PATH, "get_byok", "Show a BYOK key, without the key")
    async def retrieve(self, request: Request) -> models.ByokAnswer:
        return models.ByokAnswer(data=self._show(self._find(request)))

    @operation(
        "POST", "/v1/byok", "create_byok", "Create a BYOK key", roles=ADMINS,
        example={"provider": "atlas", "key": "sk-of-your-own-account"}, status=201,
        errors=(NONE_SUCH, _BAD_SHAPE, errors.no_master_key(), errors.bad_provider_key("atlas", 401)),
    )  # fmt: skip
    async def create(self, request: Request, body: models.ByokCreate) -> models.ByokCreated:
        who, now_ms = principal_of(request), self._context.clock.now_ms()
        provider = self._provider(body.provider)
        secret, key = body.key.read(provider)
        identifier = make_credential_id(now_ms)
        values = {"name": provider.name} | body.fields()
        credential = Credential(
            credential_id=identifier,
            account=who.account,
            project=self._project(body.project_id, who),
            provider=provider.name,
            label=key.label(),
            allowed_keys=self._keys(body.allowed_api_key_hashes, who),
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
            **values,
        )
        sealed = self._master.seal(secret, who.account, identifier, 1)
        # why the role: no call for a request that will be refused
        is_tested = body.test and who.role in MANAGERS
        outcome = await self._test(provider, key) if is_tested else None
        command = CredentialAsked(**sign(who, now_ms), credential=credential, sealed=sealed)
        await self._commands.apply(command, lambda: identifier in self._credentials, identifier)
        shown = self._show(self._credentials.get(identifier) or credential)
        return models.ByokCreated.model_validate({"data": shown, "test": outcome})

    @operation(
        "PATCH", _PATH, "change_byok", "Change a BYOK key, or put another in its place",
        roles=ADMINS, example={"is_fallback": True}, errors=(_BAD_SHAPE, errors.no_master_key()),
    )  # fmt: skip
    async def change(self, request: Request, body: models.ByokUpdate) -> models.ByokAnswer:
        old = self._find(request)
        who, now_ms = principal_of(request), self._context.clock.now_ms()
        identifier = old.credential_id
        command = CredentialChange(
            **sign(who, now_ms),
            credential_id=identifier,
            allowed_keys=self._keys(body.allowed_api_key_hashes, who),
            emptied=body.emptied(),
            **body.fields(),
            **self._replaced(body, old),
        )
        await self._commands.apply(
            command, lambda: self._credentials.get(identifier) != old, identifier
        )
        return models.ByokAnswer(data=self._show(self._credentials.get(identifier) or old))

    @operation("DELETE", _PATH, "delete_byok", "Delete a BYOK key", roles=ADMINS)
    async def delete(self, request: Request) -> Deleted:
        identifier = self._find(request).credential_id
        signed = self._commands.sign(request)
        command = CredentialDeletion(**signed, credential_id=identifier)
        await self._commands.apply(command, lambda: identifier not in self._credentials, identifier)
        return Deleted()

    @operation(
        "POST", f"{_PATH}/rewrap", "rewrap_byok", "Put a key under the first master key",
        text="`crossdock secrets rotate` does. For owners of the installation's first organization.",
        roles=OWNERS, example=_SEALED, errors=(errors.no_master_key(),),
    )  # fmt: skip
    async def rewrap(self, request: Request, body: models.SealedKey) -> models.RewrappedAnswer:
        """Store the same secret under the first master key; for owners of the operator, of any organization."""
        who = principal_of(request)
        own = self._context.accounts.organizations.get(who.account)
        if own is None or not own.is_operator or who.role is not Role.OWNER:
            raise errors.not_permitted("Only owners of the operator's organization may rewrap.")
        identifier = CredentialId(request.path_params["id"])
        credential = self._credentials.get(identifier)
        if credential is None:
            raise errors.no_such("BYOK", identifier)
        sealed = SealedSecret(**dict(body))
        try:
            self._master.open(sealed, credential.account, identifier)
        except SecretError as error:
            raise errors.wrong_value("wrapped_key", "...", f"{error}.") from None
        if sealed.master_key_id != self._master.first_id:
            rule = f"Expected {self._master.first_id!r}, the master key that seals."
            raise errors.wrong_value("master_key_id", sealed.master_key_id, rule)
        signed = sign(who, self._context.clock.now_ms()) | {"account": credential.account}
        command = CredentialRewrap(**signed, credential_id=identifier, sealed=sealed)
        await self._commands.apply(command, lambda: True, identifier)
        shown = models.RewrappedObject(id=identifier, master_key_id=sealed.master_key_id)
        return models.RewrappedAnswer(data=shown)

    def _replaced(self, body: models.ByokUpdate, old: Credential) -> dict[str, object]:
        """Return the new sealed key, if one was sent."""
        if body.key is None:
            return {}
        provider = self._context.catalogue.by_name.get(old.provider)
        if provider is None:
            raise errors.no_such("Provider", old.provider)
        secret, key = body.key.read(provider)
        version = old.secret_version + 1
        sealed = self._master.seal(secret, old.account, old.credential_id, version)
        return {"sealed": sealed, "label": key.label()}

    async def _test(self, provider: Provider, key: ProviderKey) -> str:
        """Ask the provider for its models with the key, and return the outcome. A key that signs is not tried.

        Raises:
            RefusedError: 400 if the provider does not take the key.
        """
        if not isinstance(key, BearerKey):
            return "unclear"
        address = address_of(provider.base_url, key)
        status = await self._context.ask_status(f"{address.rstrip('/')}/models", key.api_key)
        if status in REFUSED:
            raise errors.bad_provider_key(provider.name, status)
        if status is None:
            return "unreachable"
        return "ok" if status in GOOD else "unclear"

    def _project(self, identifier: str | None, who: Principal) -> ProjectId | None:
        """Return the project that may use it; None: the whole organization."""
        if identifier is None:
            return None
        return find_project(self._context.accounts, who, identifier).project

    def _keys(self, hashes: Sequence[str] | None, who: Principal) -> tuple[KeyId, ...] | None:
        """Return the API keys that may use it; None: not sent."""
        if hashes is None:
            return None
        found = []
        for one in hashes:
            key = self._context.accounts.key_of(one)
            is_own = key is not None and key.account == who.account
            if key is None or not is_own or not who.sees_project(key.project):
                rule = "The organization has no such key."
                raise errors.wrong_value("allowed_api_key_hashes", one, rule)
            found.append(key.key_id)
        return tuple(found)

    def _provider(self, name: str) -> Provider:
        known = self._context.catalogue.by_name
        if name not in known:
            supported = ", ".join(map(repr, known))
            raise errors.wrong_value("provider", name, f"Supported values are: {supported}.")
        return known[name]

    @property
    def _master(self) -> MasterKeys:
        keys = self._context.master_keys
        if keys is None:
            raise errors.no_master_key()
        return keys

    @property
    def _credentials(self) -> dict[CredentialId, Credential]:
        return self._context.accounts.credentials

    def _show(self, credential: Credential) -> models.ByokObject:
        return models.show_credential(credential, self._context.accounts.keys)

    def _find(self, request: Request) -> Credential:
        identifier = CredentialId(request.path_params["id"])
        found = self._credentials.get(identifier)
        if found is None or not _is_visible(principal_of(request), found):
            raise errors.no_such("BYOK", identifier)
        return found


def _is_visible(who: Principal, credential: Credential) -> bool:
    is_own = credential.account == who.account
    return is_own and (credential.project is None or who.sees_project(credential.project))
