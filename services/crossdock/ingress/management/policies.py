"""/v1/policies: which models and providers an organization, a project or a key may use."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from crossdock.ingress.commands.account_commands import AccountCommands, sign
from crossdock.ingress.http.auth import principal_of
from crossdock.ingress.http.body import CONTROL_BYTES, read_body
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.http.scopes import find_scope, is_visible
from crossdock.ingress.values import errors
from crossdock.ingress.values.management_objects import show_policy
from crossdock.ingress.values.policy_body import check_rules
from crossdock.ingress.values.responses import answer_json
from crossdock.ingress.values.validation import parse_object
from crossdock_schemas.accounts.control import PolicyChange, PolicyRemoval
from crossdock_schemas.accounts.directory import policy_id
from crossdock_schemas.accounts.policy import Policy


class PolicyRoutes:
    """Policies, each under the id of what it binds."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._commands = AccountCommands(context)

    def routes(self) -> list[Route]:
        return [
            Route("/v1/policies", self.list, methods=["GET"]),
            Route("/v1/policies/{id}", self.retrieve, methods=["GET"]),
            Route("/v1/policies/{id}", self.set, methods=["PUT"]),
            Route("/v1/policies/{id}", self.clear, methods=["DELETE"]),
        ]

    async def list(self, request: Request) -> Response:
        who, view = principal_of(request), self._context.accounts
        found = [p for p in self._policies.values() if is_visible(view, who, p.scope)]
        found.sort(key=lambda policy: policy.version)
        return answer_json({"data": [show_policy(policy) for policy in found]})

    async def retrieve(self, request: Request) -> Response:
        return answer_json({"data": show_policy(self._find(request))})

    async def set(self, request: Request) -> Response:
        scope, who = find_scope(self._context.accounts, request), principal_of(request)
        rules = check_rules(parse_object(await read_body(request, CONTROL_BYTES)))
        now_ms = self._context.clock.now_ms()
        command = PolicyChange(
            **sign(who, now_ms),
            scope=scope,
            rules=rules,
        )
        old = self._policies.get(scope)
        await self._commands.apply(
            command, lambda: self._policies.get(scope) != old, policy_id(scope)
        )
        return answer_json({"data": show_policy(self._find(request))})

    async def clear(self, request: Request) -> Response:
        policy, who = self._find(request), principal_of(request)
        now_ms = self._context.clock.now_ms()
        command = PolicyRemoval(
            **sign(who, now_ms),
            scope=policy.scope,
        )
        await self._commands.apply(
            command, lambda: policy.scope not in self._policies, policy_id(policy.scope)
        )
        return answer_json({"deleted": True})

    @property
    def _policies(self) -> dict[str, Policy]:
        return self._context.accounts.policies

    def _find(self, request: Request) -> Policy:
        scope = find_scope(self._context.accounts, request)
        policy = self._policies.get(scope)
        if policy is None:
            raise errors.no_such("Policy", scope)
        return policy
