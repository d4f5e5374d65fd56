"""/v1/keys and /v1/key: API keys, with OpenRouter's routes and names."""

from types import MappingProxyType
from typing import Any

from starlette.requests import Request

from crossdock.ingress.commands.account_commands import AccountCommands, guard, sign
from crossdock.ingress.http.auth import Principal, principal_of
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.http.scopes import find_project
from crossdock.ingress.management import key_models as models
from crossdock.ingress.management.budget_models import show_balance
from crossdock.ingress.management.key_limits import KeyLimits
from crossdock.ingress.values import errors, types
from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.models import LOCK_OUT, Deleted, ForceQuery
from crossdock.ingress.values.operations import MEMBERS, Access, operation
from crossdock.ingress.values.specimens import NONE_SUCH
from crossdock.kernel.requests.api_keys import digest, label_of, make_plain_key
from crossdock_schemas.accounts.account import ApiKey
from crossdock_schemas.accounts.control import (
    KeyAsked,
    KeyChange,
    KeyDeletion,
    KeyRotation,
    Refusal,
)
from crossdock_schemas.ids import KeyId, ProjectId, make_key_id
from crossdock_schemas.pricing.catalogue import REGIONS, Region

PAGE = 100
MIN_OWN_OVERLAP_S = 3600
"""The key that asks is not ended sooner: the answer that holds its successor may be lost."""


class KeyRoutes:
    """Keys. An answer shows what the account's shard applied; the plain key is in the answer that creates it, once."""

    tag = "keys"
    ids = MappingProxyType({"id": types.KeyName})

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._commands = AccountCommands(context)
        self._limits = KeyLimits(context, self._commands)

    @operation("GET", "/v1/key", "get_own_key", "Show the key that asks", access=Access.EVERY)
    async def own(self, request: Request) -> models.OwnKeyAnswer:
        key = self._keys.get(principal_of(request).key_id)
        if key is None:
            raise errors.bad_key(given=True)
        budgets = [show_balance(balance) for balance in self._limits.binding(key)]
        regions = self._regions(key)
        shown = models.OwnKeyObject.of(key, **self._usage(key), budgets=budgets, allowed_data_regions=regions)  # fmt: skip
        return models.OwnKeyAnswer(data=shown)

    @operation(
        "GET", "/v1/keys", "list_keys", "List keys, the oldest first",
        text="100 a page. A member sees the keys of its own project.",
        errors=(NONE_SUCH,),
    )  # fmt: skip
    async def list(self, request: Request, query: models.KeyQuery) -> models.KeysAnswer:
        who, now_ms = principal_of(request), self._context.clock.now_ms()
        project = self._named_project(query.project_id, who)
        found = [
            key
            for key in self._keys.values()
            if _is_visible(who, key)
            and project in (None, key.project)
            and (query.include_disabled == "true" or not key.disabled)
            and (query.include_expired == "true" or key.disabled or key.is_alive(now_ms))
        ]
        found.sort(key=lambda key: (key.created_at_ms, key.key_id))
        page = found[query.offset : query.offset + PAGE]
        return models.KeysAnswer(data=tuple(map(self._show, page)))

    @operation("GET", "/v1/keys/{id}", "get_key", "Show a key")
    async def retrieve(self, request: Request) -> models.KeyAnswer:
        return models.KeyAnswer(data=self._show(self._find(request)))

    @operation(
        "POST", "/v1/keys", "create_key", "Create a key",
        text="A member creates inference keys of its own project; an admin creates all but owners' keys.",
        roles=MEMBERS, example={"name": "batch jobs", "limit": 12.5, "limit_reset": "monthly"},
        status=201,
    )  # fmt: skip
    async def create(self, request: Request, body: models.KeyCreate) -> models.KeyCreated:
        who, now_ms = principal_of(request), self._context.clock.now_ms()
        plain = make_plain_key(who.account, self._secret, now_ms)
        key = ApiKey(
            key_id=make_key_id(now_ms),
            hash=digest(plain),
            label=label_of(plain),
            account=who.account,
            project=ProjectId(body.project_id or who.project),
            name=body.name,
            role=body.role,
            tags=body.tags or {},
            allowed_ips=body.allowed_ips or (),
            rpm=body.rpm or None,
            tpm=body.tpm or None,
            expires_at_ms=body.expires_at,
            creator=who.key_id,
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
        limit = body.over(None)
        command = KeyAsked(**sign(who, now_ms), key=key, limit=limit)
        await self._commands.apply(command, lambda: key.key_id in self._keys, key.key_id)
        await self._limits.until_shown(key.key_id, () if limit is None else (limit.window,))
        return models.KeyCreated(data=self._show(key), key=plain)

    @operation(
        "PATCH", "/v1/keys/{id}", "change_key", "Change a key",
        text="An amount alone keeps the window, a window alone the amount; the budget so made is the key's only one.",
        roles=MEMBERS, example={"name": "nightly jobs"},
    )  # fmt: skip
    async def change(
        self, request: Request, body: models.KeyUpdate, query: ForceQuery
    ) -> models.KeyAnswer:
        key = self._find(request)
        who, now_ms = principal_of(request), self._context.clock.now_ms()
        if body.disabled:
            _check_other(who, key, query)
        # why: nothing is handed in before all of it is known to be sound
        limit = self._limits.command(key, body, who)
        command = KeyChange(**guard(request, query, now_ms), key_id=key.key_id, **body.changes())
        if limit is not None:
            await self._limits.apply(limit)
        if body.changes() or not body.has_limit:
            await self._commands.apply(command, lambda: self._has_moved(key), key.key_id)
        return models.KeyAnswer(data=self._show(self._keys.get(key.key_id) or key))

    @operation("DELETE", "/v1/keys/{id}", "delete_key", "Delete a key", roles=MEMBERS)
    async def delete(self, request: Request, query: ForceQuery) -> Deleted:
        key = self._find(request)
        _check_other(principal_of(request), key, query)
        signed = guard(request, query, self._context.clock.now_ms())
        command = KeyDeletion(**signed, key_id=key.key_id)
        await self._commands.apply(command, lambda: key.key_id not in self._keys, key.key_id)
        return Deleted()

    @operation(
        "POST", "/v1/keys/{id}/rotate", "rotate_key", "Create a key's successor",
        text="The successor has all that the key has.", roles=MEMBERS, example={"overlap_s": 3600},
        is_body_required=False, status=201,
    )  # fmt: skip
    async def rotate(
        self, request: Request, body: models.KeyRotate, query: ForceQuery
    ) -> models.KeyCreated:
        key = self._find(request)
        who, now_ms = principal_of(request), self._context.clock.now_ms()
        overlap_s = models.DAY_S if body.overlap_s is None else body.overlap_s
        if overlap_s < MIN_OWN_OVERLAP_S:
            _check_other(who, key, query)
        plain = make_plain_key(who.account, self._secret, now_ms)
        command = KeyRotation(
            **guard(request, query, now_ms),
            key_id=key.key_id,
            successor=make_key_id(now_ms),
            hash=digest(plain),
            label=label_of(plain),
            overlap_s=overlap_s,
        )
        successor = command.successor
        budgets = self._context.accounts.budgets_of(key.account, key.key_id)
        windows = [budget.window for budget in budgets]
        await self._commands.apply(command, lambda: successor in self._keys, successor)
        await self._limits.until_shown(successor, windows)
        shown = self._keys.get(successor)
        if shown is None:
            raise errors.unconfirmed()
        return models.KeyCreated(data=self._show(shown), key=plain)

    @property
    def _secret(self) -> str:
        return self._context.settings.key_secret.get_secret_value()

    @property
    def _keys(self) -> dict[KeyId, ApiKey]:
        return self._context.accounts.keys

    def _show(self, key: ApiKey) -> models.KeyObject:
        return models.KeyObject.of(key, **self._usage(key))

    def _usage(self, key: ApiKey) -> dict[str, Any]:
        spend = self._context.accounts.spends.get(key.key_id)
        return models.usage_of(key, spend, self._limits.own(key), self._context.clock.now_ms())

    def _regions(self, key: ApiKey) -> tuple[Region, ...]:
        """Return the regions that no policy of the key closes."""
        policies = map(self._context.accounts.policies.get, (key.account, key.project, key.key_id))
        demands = [p.rules.allowed_data_regions for p in policies if p is not None]
        closed = [set(REGIONS) - set(regions) for regions in demands if regions is not None]
        return tuple(region for region in REGIONS if not any(region in one for one in closed))

    def _has_moved(self, key: ApiKey) -> bool:
        return self._keys.get(key.key_id) != key

    def _named_project(self, identifier: str | None, who: Principal) -> ProjectId | None:
        """Return the project of a list; None: all projects that the caller may read."""
        if identifier is None:
            return None
        return find_project(self._context.accounts, who, identifier).project

    def _find(self, request: Request) -> ApiKey:
        identifier = request.path_params["id"]
        key = self._context.accounts.find_key(identifier)
        if key is None or not _is_visible(principal_of(request), key):
            raise errors.no_such("Key", identifier)
        return key


def _check_other(who: Principal, key: ApiKey, query: ForceQuery) -> None:
    """Refuse to end the key that asks, which would prove that no other key works.

    Raises:
        RefusedError: 409 unless it is forced.
    """
    if key.key_id == who.key_id and not query.is_forced:
        raise RefusedError(
            409,
            "The key that asks would end itself within an hour. Use another key to end it, which proves that it is not the "
            f"last owner's key that works, or force it: `?force={LOCK_OUT}`, on the command line `--force`.",
            reason=Refusal.CONFLICT.value,
            headers={"x-should-retry": "false"},
        )


def _is_visible(who: Principal, key: ApiKey) -> bool:
    return key.account == who.account and who.sees_project(key.project)
