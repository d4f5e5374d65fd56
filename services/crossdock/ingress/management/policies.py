"""/v1/policies: which models and providers an organization, a project or a key may use."""

from types import MappingProxyType

from starlette.requests import Request

from crossdock.ingress.commands.account_commands import AccountCommands
from crossdock.ingress.http.auth import principal_of
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.http.scopes import find_scope, is_visible
from crossdock.ingress.management import policy_models as models
from crossdock.ingress.values import errors, types
from crossdock.ingress.values.models import Deleted
from crossdock.ingress.values.operations import ADMINS, operation
from crossdock_schemas.accounts.control import PolicyChange, PolicyRemoval
from crossdock_schemas.accounts.directory import policy_id
from crossdock_schemas.accounts.policy import Policy

_PATH = "/v1/policies/{id}"


class PolicyRoutes:
    """Policies, each under the id of its scope."""

    tag = "policies"
    ids = MappingProxyType({"id": types.ScopeId})

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._commands = AccountCommands(context)

    @operation("GET", "/v1/policies", "list_policies", "List the policies that the key may see")
    async def list(self, request: Request) -> models.PoliciesAnswer:
        who, view = principal_of(request), self._context.accounts
        found = [p for p in self._policies.values() if is_visible(view, who, p.scope)]
        found.sort(key=lambda policy: policy.version)
        return models.PoliciesAnswer(data=tuple(map(models.show_policy, found)))

    @operation("GET", _PATH, "get_policy", "Show a scope's policy")
    async def retrieve(self, request: Request) -> models.PolicyAnswer:
        return models.PolicyAnswer(data=models.show_policy(self._find(request)))

    @operation(
        "PUT", _PATH, "set_policy", "Set a scope's policy, as a whole", roles=ADMINS,
        example={"allowed_providers": ["atlas"]},
    )  # fmt: skip
    async def set(self, request: Request, body: models.PolicySet) -> models.PolicyAnswer:
        return await self._set(request, body, None)

    @operation(
        "PATCH", _PATH, "change_policy", "Change rules of a scope's policy", roles=ADMINS,
        text="A scope without a policy gets one.", example={"ignored_providers": ["cinder"]},
    )  # fmt: skip
    async def change(self, request: Request, body: models.PolicyUpdate) -> models.PolicyAnswer:
        return await self._set(request, body, body.kept())

    async def _set(
        self, request: Request, body: models.PolicySet, kept: tuple[str, ...] | None
    ) -> models.PolicyAnswer:
        scope = find_scope(self._context.accounts, request)
        signed = self._commands.sign(request)
        command = PolicyChange(**signed, scope=scope, rules=body.rules(), kept=kept)
        old = self._policies.get(scope)
        await self._commands.apply(
            command, lambda: self._policies.get(scope) != old, policy_id(scope)
        )
        return models.PolicyAnswer(data=models.show_policy(self._find(request)))

    @operation("DELETE", _PATH, "clear_policy", "Remove a scope's policy", roles=ADMINS)
    async def clear(self, request: Request) -> Deleted:
        scope = self._find(request).scope
        signed = self._commands.sign(request)
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
