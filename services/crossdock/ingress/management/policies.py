"""/v1/policies: which models and providers an organization, a project or a key may use."""

from starlette.requests import Request

from crossdock.ingress.commands.account_commands import AccountCommands, sign
from crossdock.ingress.http.auth import principal_of
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.http.scopes import find_scope, is_visible
from crossdock.ingress.management.policy_models import (
    PoliciesAnswer,
    PolicyAnswer,
    PolicySet,
    show_policy,
)
from crossdock.ingress.values import errors
from crossdock.ingress.values.models import Deleted
from crossdock.ingress.values.operations import ADMINS, operation
from crossdock.ingress.values.specimens import CHANGE, DECIDED, NONE_SUCH
from crossdock.ingress.values.types import ScopeId
from crossdock_schemas.accounts.control import PolicyChange, PolicyRemoval
from crossdock_schemas.accounts.directory import policy_id
from crossdock_schemas.accounts.policy import Policy

TAG = "policies"
_PATH = "/v1/policies/{id}"
_IDS = {"id": ScopeId}


class PolicyRoutes:
    """Policies, each under the id of what it binds."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._commands = AccountCommands(context)

    @operation(
        "GET", "/v1/policies", "list_policies", "List the policies that the key may see",
        tag=TAG,
    )  # fmt: skip
    async def list(self, request: Request) -> PoliciesAnswer:
        who, view = principal_of(request), self._context.accounts
        found = [p for p in self._policies.values() if is_visible(view, who, p.scope)]
        found.sort(key=lambda policy: policy.version)
        return PoliciesAnswer(data=tuple(map(show_policy, found)))

    @operation(
        "GET", _PATH, "get_policy", "Show a scope's policy",
        tag=TAG,
        ids=_IDS,
        errors=(NONE_SUCH,),
    )  # fmt: skip
    async def retrieve(self, request: Request) -> PolicyAnswer:
        return PolicyAnswer(data=show_policy(self._find(request)))

    @operation(
        "PUT", _PATH, "set_policy", "Set a scope's policy, as a whole",
        tag=TAG,
        ids=_IDS,
        roles=ADMINS,
        example={"allowed_providers": ["atlas"]},
        errors=(*CHANGE, NONE_SUCH),
    )  # fmt: skip
    async def set(self, request: Request, body: PolicySet) -> PolicyAnswer:
        scope = find_scope(self._context.accounts, request)
        signed = sign(principal_of(request), self._context.clock.now_ms())
        command = PolicyChange(**signed, scope=scope, rules=body.rules())
        old = self._policies.get(scope)
        await self._commands.apply(
            command, lambda: self._policies.get(scope) != old, policy_id(scope)
        )
        return PolicyAnswer(data=show_policy(self._find(request)))

    @operation(
        "DELETE", _PATH, "clear_policy", "Remove a scope's policy",
        tag=TAG,
        ids=_IDS,
        roles=ADMINS,
        errors=(*DECIDED, NONE_SUCH),
    )  # fmt: skip
    async def clear(self, request: Request) -> Deleted:
        scope = self._find(request).scope
        signed = sign(principal_of(request), self._context.clock.now_ms())
        command = PolicyRemoval(**signed, scope=scope)
        await self._commands.apply(command, lambda: scope not in self._policies, policy_id(scope))
        return Deleted()

    @property
    def _policies(self) -> dict[str, Policy]:
        return self._context.accounts.policies

    def _find(self, request: Request) -> Policy:
        scope = find_scope(self._context.accounts, request)
        policy = self._policies.get(scope)
        if policy is None:
            raise errors.no_such("Policy", scope)
        return policy
