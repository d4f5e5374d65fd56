"""/v1/keys and /v1/key: API keys, with OpenRouter's routes and names."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from crossdock.ingress.commands.account_commands import Desk, sign
from crossdock.ingress.http.auth import Principal, principal_of
from crossdock.ingress.http.body import CONTROL_BYTES, read_body
from crossdock.ingress.http.context import Dock
from crossdock.ingress.http.scopes import find_project
from crossdock.ingress.management.key_limits import Limits
from crossdock.ingress.values import errors
from crossdock.ingress.values.checks import check_number, parse_object
from crossdock.ingress.values.management_bodies import (
    LIMIT_FIELDS,
    check_flag,
    check_known,
    check_limit,
    check_name,
    check_networks,
    check_rate,
    check_role,
    check_seconds,
    check_tags,
    check_time,
)
from crossdock.ingress.values.management_objects import show_balance, show_key
from crossdock.ingress.values.openai_objects import Json
from crossdock.ingress.values.responses import answer_json
from crossdock.kernel.requests.api_keys import digest, label_of, make_plain_key
from crossdock_schemas.accounts.account import MAX_RPM, MAX_TPM, ApiKey
from crossdock_schemas.accounts.control import KeyAsked, KeyChange, KeyDeletion, KeyRotation
from crossdock_schemas.ids import KeyId, ProjectId, make_key_id

PAGE = 100
DAY_S = 86_400
CREATED = 201
MADE = (
    "name",
    "project_id",
    "role",
    "expires_at",
    "tags",
    "allowed_ips",
    "rpm",
    "tpm",
    *LIMIT_FIELDS,
)
CHANGED = ("name", "disabled", "tags", "allowed_ips", "rpm", "tpm")
"""Besides its limit, which is a budget and has its own command."""


class KeyRoutes:
    """Keys. What is answered was applied by the account's shard; the plain key is in the answer that makes it, once."""

    def __init__(self, dock: Dock) -> None:
        self._dock = dock
        self._desk = Desk(dock)
        self._limits = Limits(dock, self._desk)

    def routes(self) -> list[Route]:
        return [
            Route("/v1/key", self.own, methods=["GET"]),
            Route("/v1/keys", self.list, methods=["GET"]),
            Route("/v1/keys", self.create, methods=["POST"]),
            Route("/v1/keys/{id}", self.retrieve, methods=["GET"]),
            Route("/v1/keys/{id}", self.change, methods=["PATCH"]),
            Route("/v1/keys/{id}", self.delete, methods=["DELETE"]),
            Route("/v1/keys/{id}/rotate", self.rotate, methods=["POST"]),
        ]

    async def own(self, request: Request) -> Response:
        key = self._dock.accounts.keys.get(principal_of(request).key_id)
        if key is None:
            raise errors.bad_key(given=True)
        budgets = [show_balance(balance) for balance in self._limits.binding(key)]
        more = {"is_management_key": key.is_management, "budgets": budgets}
        return answer_json({"data": self._show(key) | more})

    async def list(self, request: Request) -> Response:
        query, who = request.query_params, principal_of(request)
        now_ms = self._dock.clock.now_ms()
        project = self._named_project(query.get("project_id"), who)
        start = check_number(query.get("offset"), "offset", default=0, lowest=0, highest=10**6)
        with_disabled, with_expired = (
            query.get(name) == "true" for name in ("include_disabled", "include_expired")
        )
        found = [
            key
            for key in self._dock.accounts.keys.values()
            if _is_visible(who, key)
            and project in (None, key.project)
            and (with_disabled or not key.disabled)
            and (with_expired or key.disabled or key.is_alive(now_ms))
        ]
        found.sort(key=lambda key: (key.created_at_ms, key.key_id))
        return answer_json({"data": [self._show(key) for key in found[start : start + PAGE]]})

    async def retrieve(self, request: Request) -> Response:
        return answer_json({"data": self._show(self._find(request))})

    async def create(self, request: Request) -> Response:
        body = parse_object(await read_body(request, CONTROL_BYTES))
        check_known(body, MADE)
        who, now_ms = principal_of(request), self._dock.clock.now_ms()
        plain = make_plain_key(who.account, self._secret, now_ms)
        key = ApiKey(
            key_id=make_key_id(now_ms),
            hash=digest(plain),
            label=label_of(plain),
            account=who.account,
            project=ProjectId(str(body.get("project_id") or who.project)),
            name=check_name(body),
            role=check_role(body),
            tags=check_tags(body) or {},
            allowed_ips=check_networks(body) or (),
            rpm=check_rate(body, "rpm", MAX_RPM) or None,
            tpm=check_rate(body, "tpm", MAX_TPM) or None,
            expires_at_ms=check_time(body, "expires_at"),
            creator=who.key_id,
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
        limit = check_limit(body)
        command = KeyAsked(**sign(who, now_ms), key=key, limit=limit)
        await self._desk.ask(command, lambda: key.key_id in self._keys, key.key_id)
        await self._limits.until_shown(key.key_id, () if limit is None else (limit.window,))
        return answer_json({"data": self._show(key), "key": plain}, status=CREATED)

    async def change(self, request: Request) -> Response:
        key = self._find(request)
        body = parse_object(await read_body(request, CONTROL_BYTES))
        check_known(body, (*CHANGED, *LIMIT_FIELDS))
        who, now_ms = principal_of(request), self._dock.clock.now_ms()
        # why: nothing is handed in before all of it is known to be sound
        limit = self._limits.wish(key, body, who)
        command = KeyChange(
            **sign(who, now_ms),
            key_id=key.key_id,
            name=check_name(body) if body.get("name") is not None else None,
            disabled=check_flag(body, "disabled"),
            tags=check_tags(body),
            allowed_ips=check_networks(body),
            rpm=check_rate(body, "rpm", MAX_RPM),
            tpm=check_rate(body, "tpm", MAX_TPM),
        )
        if limit is not None:
            await self._limits.ask(limit)
        if not _is_about_limit(body):
            await self._desk.ask(command, lambda: self._has_moved(key), key.key_id)
        return answer_json({"data": self._show(self._keys.get(key.key_id) or key)})

    async def delete(self, request: Request) -> Response:
        key = self._find(request)
        who, now_ms = principal_of(request), self._dock.clock.now_ms()
        command = KeyDeletion(
            **sign(who, now_ms),
            key_id=key.key_id,
        )
        await self._desk.ask(command, lambda: key.key_id not in self._keys, key.key_id)
        return answer_json({"deleted": True})

    async def rotate(self, request: Request) -> Response:
        key = self._find(request)
        raw = await read_body(request, CONTROL_BYTES)
        body = parse_object(raw) if raw else {}
        check_known(body, ("overlap_s",))
        who, now_ms = principal_of(request), self._dock.clock.now_ms()
        plain = make_plain_key(who.account, self._secret, now_ms)
        command = KeyRotation(
            **sign(who, now_ms),
            key_id=key.key_id,
            successor=make_key_id(now_ms),
            hash=digest(plain),
            label=label_of(plain),
            overlap_s=check_seconds(body, "overlap_s", default=DAY_S, highest=365 * DAY_S) or 0,
        )
        successor = command.successor
        windows = [
            budget.window for budget in self._dock.accounts.budgets_of(key.account, key.key_id)
        ]
        await self._desk.ask(command, lambda: successor in self._keys, successor)
        await self._limits.until_shown(successor, windows)
        shown = self._keys.get(successor)
        if shown is None:
            raise errors.unconfirmed()
        return answer_json({"data": self._show(shown), "key": plain}, status=CREATED)

    @property
    def _secret(self) -> str:
        return self._dock.settings.key_secret.get_secret_value()

    @property
    def _keys(self) -> dict[KeyId, ApiKey]:
        return self._dock.accounts.keys

    def _show(self, key: ApiKey) -> Json:
        spend = self._dock.accounts.spends.get(key.key_id)
        return show_key(key, spend, self._limits.own(key), self._dock.clock.now_ms())

    def _has_moved(self, key: ApiKey) -> bool:
        return self._keys.get(key.key_id) != key

    def _named_project(self, identifier: str | None, who: Principal) -> ProjectId | None:
        """Return the project that a list shall be of; None: of all that `who` sees."""
        if identifier is None:
            return None
        return find_project(self._dock.accounts, who, identifier).project

    def _find(self, request: Request) -> ApiKey:
        identifier = request.path_params["id"]
        key = self._dock.accounts.find_key(identifier)
        if key is None or not _is_visible(principal_of(request), key):
            raise errors.no_such("Key", identifier)
        return key


def _is_visible(who: Principal, key: ApiKey) -> bool:
    return key.account == who.account and who.sees_project(key.project)


def _is_about_limit(body: Json) -> bool:
    """Say whether nothing but the limit shall change."""
    is_said = any(body.get(name) is not None for name in CHANGED)
    return not is_said and not body.keys().isdisjoint(LIMIT_FIELDS)
