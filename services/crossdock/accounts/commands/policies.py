"""Commands for policies. Pure."""

from crossdock.accounts.commands.decision import Decision, Refused, unknown
from crossdock.accounts.state.account import AccountState
from crossdock_schemas.accounts.control import PolicyChange, PolicyRemoval
from crossdock_schemas.accounts.directory import policy_id
from crossdock_schemas.accounts.policy import Policy


def set_policy(state: AccountState, command: PolicyChange) -> Decision | Refused:
    scope = command.scope
    if not state.has_scope(scope):
        return unknown("organization, project or key", scope)
    policy = Policy(
        account=state.account,
        scope=scope,
        rules=command.rules,
        version=state.number + 1,
        updated_at_ms=state.now_ms,
    )
    return Decision(policy_id(scope), (policy,))


def clear_policy(state: AccountState, command: PolicyRemoval) -> Decision | Refused:
    identifier = policy_id(command.scope)
    if identifier not in state.policies:
        return unknown("policy of", command.scope)
    return Decision(identifier, deleted=(identifier,))
