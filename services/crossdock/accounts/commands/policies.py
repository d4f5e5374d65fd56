"""Commands for policies. Pure."""

from collections.abc import Iterable

from crossdock.accounts.commands.decision import Decision, Refused, unknown
from crossdock.accounts.state.account import AccountState
from crossdock_schemas.accounts.control import PolicyChange, PolicyRemoval
from crossdock_schemas.accounts.directory import policy_id
from crossdock_schemas.accounts.policy import Policy, Rules


def set_policy(state: AccountState, command: PolicyChange) -> Decision | Refused:
    scope = command.scope
    if not state.has_scope(scope):
        return unknown("organization, project or key", scope)
    old = state.policies.get(policy_id(scope))
    policy = Policy(
        account=state.account,
        scope=scope,
        rules=_merged(command.rules, command.kept or (), Rules() if old is None else old.rules),
        version=state.number + 1,
        updated_at_ms=state.now_ms,
    )
    return Decision(policy_id(scope), (policy,))


def _merged(rules: Rules, kept: Iterable[str], old: Rules) -> Rules:
    return rules.model_copy(update={n: getattr(old, n) for n in kept if n in Rules.model_fields})


def clear_policy(state: AccountState, command: PolicyRemoval) -> Decision | Refused:
    identifier = policy_id(command.scope)
    if identifier not in state.policies:
        return unknown("policy of", command.scope)
    return Decision(identifier, deleted=(identifier,))
