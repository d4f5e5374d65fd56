"""/v1/byok: own provider keys, with OpenRouter's names. A key is sealed here, and nobody shows it again."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from crossdock.ingress.commands.account_commands import AccountCommands, sign
from crossdock.ingress.http.auth import Principal, principal_of
from crossdock.ingress.http.body import CONTROL_BYTES, read_body
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.http.scopes import find_project
from crossdock.ingress.management.byok_checks import (
    CHANGED,
    MADE,
    check_fields,
    check_hashes,
    check_provider,
    check_sealed,
    emptied,
    take_secret,
)
from crossdock.ingress.values import errors
from crossdock.ingress.values.checks import Json
from crossdock.ingress.values.management_bodies import check_flag, check_known
from crossdock.ingress.values.management_objects import show_credential
from crossdock.ingress.values.responses import answer_json
from crossdock.ingress.values.validation import parse_object
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
from crossdock_schemas.ids import CredentialId, KeyId, ProjectId, make_credential_id

CREATED = 201
MANAGERS = (Role.OWNER, Role.ADMIN)
REFUSED = (401, 403)
GOOD = range(200, 300)


class CredentialRoutes:
    """Own provider keys."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._commands = AccountCommands(context)

    def routes(self) -> list[Route]:
        return [
            Route("/v1/byok", self.list, methods=["GET"]),
            Route("/v1/byok", self.create, methods=["POST"]),
            Route("/v1/byok/{id}", self.retrieve, methods=["GET"]),
            Route("/v1/byok/{id}", self.change, methods=["PATCH"]),
            Route("/v1/byok/{id}", self.delete, methods=["DELETE"]),
            Route("/v1/byok/{id}/rewrap", self.rewrap, methods=["POST"]),
        ]

    async def list(self, request: Request) -> Response:
        who = principal_of(request)
        found = [one for one in self._credentials.values() if _is_visible(who, one)]
        found.sort(key=lambda one: (one.created_at_ms, one.credential_id))
        return answer_json({"data": [self._show(one) for one in found]})

    async def retrieve(self, request: Request) -> Response:
        return answer_json({"data": self._show(self._find(request))})

    async def create(self, request: Request) -> Response:
        body = parse_object(await read_body(request, CONTROL_BYTES))
        taken = take_secret(body)
        check_known(body, MADE)
        who, now_ms = principal_of(request), self._context.clock.now_ms()
        if taken is None:
            raise errors.missing("key")
        provider = check_provider(body, self._context.catalogue.by_name)
        secret, key = taken.read(self._context.catalogue.by_name[provider])
        identifier = make_credential_id(now_ms)
        values: dict[str, Any] = {"name": provider} | check_fields(body)
        credential = Credential(
            credential_id=identifier,
            account=who.account,
            project=self._project(body, who),
            provider=provider,
            label=key.label(),
            allowed_keys=self._keys(body, who),
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
            **values,
        )
        sealed = self._master.seal(secret, who.account, identifier, 1)
        # why the role: whoever will be refused shall not make us call
        is_tested = check_flag(body, "test") and who.role in MANAGERS
        said = await self._test(provider, key) if is_tested else None
        command = CredentialAsked(**sign(who, now_ms), credential=credential, sealed=sealed)
        await self._commands.apply(command, lambda: identifier in self._credentials, identifier)
        shown = self._show(self._credentials.get(identifier) or credential)
        more = {} if said is None else {"test": said}
        return answer_json({"data": shown, **more}, status=CREATED)

    async def change(self, request: Request) -> Response:
        old = self._find(request)
        body = parse_object(await read_body(request, CONTROL_BYTES))
        taken = take_secret(body)
        check_known(body, CHANGED)
        who, now_ms = principal_of(request), self._context.clock.now_ms()
        identifier = old.credential_id
        replaced: dict[str, Any] = {}
        if taken is not None:
            provider = self._context.catalogue.by_name.get(old.provider)
            if provider is None:
                raise errors.no_such("Provider", old.provider)
            secret, key = taken.read(provider)
            version = old.secret_version + 1
            sealed = self._master.seal(secret, old.account, identifier, version)
            replaced = {"sealed": sealed, "label": key.label()}
        command = CredentialChange(
            **sign(who, now_ms),
            credential_id=identifier,
            allowed_keys=self._keys(body, who),
            emptied=emptied(body),
            **check_fields(body),
            **replaced,
        )
        await self._commands.apply(
            command, lambda: self._credentials.get(identifier) != old, identifier
        )
        return answer_json({"data": self._show(self._credentials.get(identifier) or old)})

    async def delete(self, request: Request) -> Response:
        identifier = self._find(request).credential_id
        signed = sign(principal_of(request), self._context.clock.now_ms())
        command = CredentialDeletion(**signed, credential_id=identifier)
        await self._commands.apply(command, lambda: identifier not in self._credentials, identifier)
        return answer_json({"deleted": True})

    async def rewrap(self, request: Request) -> Response:
        """Take in the same secret under the first master key; for owners of the operator, of any organization's."""
        who = principal_of(request)
        own = self._context.accounts.organizations.get(who.account)
        if own is None or not own.is_operator or who.role is not Role.OWNER:
            raise errors.not_permitted("Only owners of the operator's organization may rewrap.")
        identifier = CredentialId(request.path_params["id"])
        credential = self._credentials.get(identifier)
        if credential is None:
            raise errors.no_such("BYOK", identifier)
        sealed = check_sealed(parse_object(await read_body(request, CONTROL_BYTES)))
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
        return answer_json({"data": {"id": identifier, "master_key_id": sealed.master_key_id}})

    async def _test(self, provider: str, key: ProviderKey) -> str:
        """Ask the provider for its models with the key; say how it went. What is signed is not tried: `unclear`.

        Raises:
            RefusedError: 400 if the provider does not take the key.
        """
        if not isinstance(key, BearerKey):
            return "unclear"
        address = address_of(self._context.catalogue.by_name[provider].base_url, key)
        status = await self._context.ask_status(f"{address.rstrip('/')}/models", key.api_key)
        if status in REFUSED:
            raise errors.bad_provider_key(provider, status)
        if status is None:
            return "unreachable"
        return "ok" if status in GOOD else "unclear"

    def _project(self, body: Json, who: Principal) -> ProjectId | None:
        """Return the project that shall use it; None: the whole organization."""
        given = body.get("project_id")
        if given is None:
            return None
        if not isinstance(given, str):
            raise errors.wrong_type("project_id", "a string", given)
        return find_project(self._context.accounts, who, given).project

    def _keys(self, body: Json, who: Principal) -> tuple[KeyId, ...] | None:
        """Return the API keys that shall use it; None: not said."""
        hashes = check_hashes(body)
        if hashes is None:
            return None
        found = []
        for one in hashes:
            key = self._context.accounts.key_of(one)
            is_own = key is not None and key.account == who.account
            if key is None or not is_own or not who.sees_project(key.project):
                rule = "There is no such key in the organization."
                raise errors.wrong_value("allowed_api_key_hashes", one, rule)
            found.append(key.key_id)
        return tuple(found)

    @property
    def _master(self) -> MasterKeys:
        keys = self._context.master_keys
        if keys is None:
            raise errors.no_master_key()
        return keys

    @property
    def _credentials(self) -> dict[CredentialId, Credential]:
        return self._context.accounts.credentials

    def _show(self, credential: Credential) -> Json:
        return show_credential(credential, self._context.accounts.keys)

    def _find(self, request: Request) -> Credential:
        identifier = CredentialId(request.path_params["id"])
        found = self._credentials.get(identifier)
        if found is None or not _is_visible(principal_of(request), found):
            raise errors.no_such("BYOK", identifier)
        return found


def _is_visible(who: Principal, credential: Credential) -> bool:
    is_own = credential.account == who.account
    return is_own and (credential.project is None or who.sees_project(credential.project))
