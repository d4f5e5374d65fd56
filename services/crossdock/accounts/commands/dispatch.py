"""The registry of commands, and the decision on one. Pure: no state is changed here."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from crossdock.accounts.commands import (
    budgets,
    credentials,
    credits,
    keys,
    organizations,
    policies,
    presets,
    projects,
    recovery,
)
from crossdock.accounts.commands.authorization import why_denied
from crossdock.accounts.commands.decision import CommandSpec, Decision, Refused
from crossdock.accounts.commands.escalation import why_above
from crossdock.accounts.commands.lock_out import why_locked_out
from crossdock.accounts.state.account import AccountState
from crossdock_schemas.accounts.account import ApiKey, Role
from crossdock_schemas.accounts.control import (
    BudgetChange,
    BudgetRemoval,
    Command,
    CredentialAsked,
    CredentialChange,
    CredentialDeletion,
    CredentialRewrap,
    CreditAsked,
    Credited,
    Founded,
    GuardedCommand,
    KeyAsked,
    KeyChange,
    KeyDeletion,
    KeyRotation,
    OrganizationAsked,
    OrganizationChange,
    PolicyChange,
    PolicyRemoval,
    PrepaymentAsked,
    PrepaymentSet,
    PresetChange,
    PresetRemoval,
    ProjectAsked,
    ProjectChange,
    Recovered,
    Refusal,
)
from crossdock_schemas.accounts.credit import Terms
from crossdock_schemas.accounts.directory import budget_id, policy_id, preset_id
from crossdock_schemas.ids import KeyId, derive_credit_id
from crossdock_schemas.message import Message


def _account(command: Founded | OrganizationChange | PrepaymentSet) -> str:
    return command.account


def _organization(command: CreditAsked | PrepaymentAsked) -> str:
    return command.organization


def _key(command: KeyChange | KeyRotation | KeyDeletion) -> str:
    return command.key_id


def _known_key(
    state: AccountState, command: KeyChange | KeyRotation | KeyDeletion
) -> tuple[ApiKey | None]:
    return (state.keys.get(command.key_id),)


def _stopped_owners(state: AccountState, command: ProjectChange) -> Iterable[ApiKey]:
    """Return the owners' keys that stop with a project."""
    keys = state.keys.values() if command.disabled else ()
    return (k for k in keys if k.role is Role.OWNER and k.project == command.project)


def _budget(command: BudgetChange | BudgetRemoval) -> str:
    scope, window = command.scope, command.window
    return scope if window is None else budget_id(scope, window)


def _limited_key(
    state: AccountState, command: BudgetChange | BudgetRemoval
) -> tuple[ApiKey | None]:
    return (state.keys.get(KeyId(command.scope)),)


def _policy(command: PolicyChange | PolicyRemoval) -> str:
    return policy_id(command.scope)


def _preset(command: PresetChange | PresetRemoval) -> str:
    return preset_id(command.scope, command.slug)


def _credential(command: CredentialChange | CredentialDeletion | CredentialRewrap) -> str:
    return command.credential_id


class Commands:
    """All commands, by their types."""

    def __init__(self, terms: Terms) -> None:
        owner, member = Role.OWNER, Role.MEMBER
        specs: tuple[CommandSpec[Any], ...] = (
            CommandSpec(Founded, organizations.found_organization, _account, None),
            CommandSpec(
                OrganizationAsked,
                organizations.forward_organization,
                lambda command: command.organization.account,
                owner,
                is_operators=True,
            ),
            CommandSpec(OrganizationChange, organizations.change_organization, _account, owner),
            CommandSpec(ProjectAsked, projects.create_project, lambda c: c.project.project),
            CommandSpec(
                ProjectChange, projects.change_project, lambda c: c.project, keys=_stopped_owners
            ),
            CommandSpec(
                KeyAsked, keys.create_key, lambda c: c.key.key_id, member, lambda _, c: (c.key,)
            ),
            CommandSpec(KeyChange, keys.change_key, _key, member, _known_key),
            CommandSpec(KeyRotation, keys.rotate_key, _key, member, _known_key),
            CommandSpec(KeyDeletion, keys.delete_key, _key, member, _known_key),
            CommandSpec(Recovered, recovery.recover, lambda c: c.key_id, None),
            CommandSpec(PolicyChange, policies.set_policy, _policy),
            CommandSpec(PolicyRemoval, policies.clear_policy, _policy),
            CommandSpec(BudgetChange, budgets.set_budget, _budget, member, _limited_key),
            CommandSpec(BudgetRemoval, budgets.clear_budget, _budget, member, _limited_key),
            CommandSpec(PresetChange, presets.set_preset, _preset),
            CommandSpec(PresetRemoval, presets.clear_preset, _preset),
            CommandSpec(
                CredentialAsked,
                credentials.create_credential,
                lambda command: command.credential.credential_id,
            ),
            CommandSpec(CredentialChange, credentials.change_credential, _credential),
            CommandSpec(CredentialDeletion, credentials.delete_credential, _credential),
            # ingress lets the operator's owners rewrap the keys of every account
            CommandSpec(CredentialRewrap, credentials.rewrap_credential, _credential, None),
            CommandSpec(
                CreditAsked, credits.forward_credit, _organization, owner, is_operators=True
            ),
            CommandSpec(
                Credited,
                partial(credits.add_credit, terms),
                lambda command: derive_credit_id(command.account, command.reference),
                None,
            ),
            CommandSpec(
                PrepaymentAsked, credits.forward_prepayment, _organization, owner, is_operators=True
            ),
            CommandSpec(PrepaymentSet, credits.set_prepayment, _account, None),
        )
        self.specs: Mapping[type[Message], CommandSpec[Any]] = {s.command: s for s in specs}

    def decide(self, state: AccountState, command: Command) -> Decision | Refused:
        """Return how `command` changes `state`, or why it does not."""
        spec = self.specs[type(command)]
        denied = why_denied(state, command, spec)
        if denied is not None:
            return Refused(spec.target(command), Refusal.PERMISSION_DENIED, denied)
        decision = spec.handle(state, command)
        if isinstance(decision, Refused):
            return decision
        above = why_above(state, command, decision)
        if above is not None:
            return Refused(decision.target, Refusal.PERMISSION_DENIED, above)
        return _guarded(state, command, decision)


def _guarded(state: AccountState, command: Command, decision: Decision) -> Decision | Refused:
    """Refuse a decision that locks keys out, unless it is forced: then the log has the reason."""
    if not isinstance(command, GuardedCommand):
        return decision
    locked_out = why_locked_out(state, command, decision)
    if locked_out is None:
        return decision
    if not command.force:
        return Refused(decision.target, Refusal.CONFLICT, locked_out)
    return replace(decision, also_logged={**decision.also_logged, "forced": locked_out})
