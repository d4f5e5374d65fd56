"""What a command makes of an account. Pure: `(state, command, now) -> Decision | Refused`; nothing is changed here."""

from crossdock.accounts.commands.authorization import why_denied
from crossdock.accounts.commands.budgets import clear_budget, set_budget
from crossdock.accounts.commands.credentials import (
    change_credential,
    create_credential,
    delete_credential,
    rewrap_credential,
)
from crossdock.accounts.commands.credits import (
    add_credit,
    hand_on_credit,
    hand_on_prepayment,
    set_prepayment,
)
from crossdock.accounts.commands.decision import (
    Decision,
    Refused,
    cancel,
    changed,
    given,
    taken,
    unknown,
)
from crossdock.accounts.commands.keys import change_key, create_key, delete_key, rotate_key
from crossdock.accounts.commands.presets import clear_preset, set_preset
from crossdock.accounts.state.account import AccountState
from crossdock_schemas.accounts.account import ApiKey
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
    Refusal,
)
from crossdock_schemas.accounts.credit import Terms
from crossdock_schemas.accounts.directory import Entity, budget_id, identity, policy_id, preset_id
from crossdock_schemas.accounts.policy import Policy
from crossdock_schemas.calls.cancel import Cancelled
from crossdock_schemas.ids import derive_credit_id

MAX_PROJECTS = 1_000


def decide(  # noqa: C901, PLR0911, PLR0912  # one line for each command; mypy sees that none is missing
    state: AccountState, command: Command, terms: Terms, now_ms: int
) -> Decision | Refused:
    """Return what `command` makes of `state`."""
    target = _target(command)
    denied = why_denied(state, command, now_ms)
    if denied is not None:
        return Refused(target, Refusal.PERMISSION_DENIED, denied)
    match command:
        case Founded():
            return _found(state, command)
        case OrganizationAsked():
            return _hand_on(command)
        case OrganizationChange():
            return _change_organization(state, command, now_ms)
        case ProjectAsked():
            return _create_project(state, command)
        case ProjectChange():
            return _change_project(state, command, now_ms)
        case KeyAsked():
            return create_key(state, command, now_ms)
        case KeyChange():
            return change_key(state, command, now_ms)
        case KeyRotation():
            return rotate_key(state, command, now_ms)
        case KeyDeletion():
            return delete_key(state, command, now_ms)
        case PolicyChange():
            return _set_policy(state, command, now_ms)
        case PolicyRemoval():
            return _clear_policy(state, command)
        case BudgetChange():
            return set_budget(state, command, now_ms)
        case BudgetRemoval():
            return clear_budget(state, command)
        case PresetChange():
            return set_preset(state, command, now_ms)
        case PresetRemoval():
            return clear_preset(state, command)
        case CredentialAsked():
            return create_credential(state, command, now_ms)
        case CredentialChange():
            return change_credential(state, command, now_ms)
        case CredentialDeletion():
            return delete_credential(state, command)
        case CredentialRewrap():
            return rewrap_credential(state, command)
        case CreditAsked():
            return hand_on_credit(command)
        case Credited():
            return add_credit(state, command, terms, now_ms)
        case PrepaymentAsked():
            return hand_on_prepayment(command)
        case PrepaymentSet():  # pragma: no branch  # mypy sees that no case is missing
            return set_prepayment(state, command, now_ms)


def _target(command: Command) -> str:  # noqa: C901, PLR0911, PLR0912  # as above
    match command:
        case ProjectAsked():
            return command.project.project
        case ProjectChange():
            return command.project
        case KeyAsked():
            return command.key.key_id
        case KeyChange() | KeyRotation() | KeyDeletion():
            return command.key_id
        case PolicyChange() | PolicyRemoval():
            return policy_id(command.scope)
        case BudgetChange():
            return budget_id(command.scope, command.window)
        case BudgetRemoval():
            return (
                command.scope
                if command.window is None
                else budget_id(command.scope, command.window)
            )
        case PresetChange() | PresetRemoval():
            return preset_id(command.scope, command.slug)
        case CredentialAsked():
            return command.credential.credential_id
        case CredentialChange() | CredentialDeletion() | CredentialRewrap():
            return command.credential_id
        case OrganizationAsked():
            return command.organization.account
        case CreditAsked() | PrepaymentAsked():
            return command.organization
        case Credited():
            return derive_credit_id(command.account, command.reference)
        case (
            Founded() | OrganizationChange() | PrepaymentSet()
        ):  # pragma: no branch  # mypy sees that no case is missing
            return command.account


def _found(state: AccountState, command: Founded) -> Decision:
    """Add what is not there. A key whose text became another one is replaced; all else stays as it was changed to."""
    wanted: tuple[Entity, ...] = (command.organization, command.project, *command.keys)
    changed = []
    for entity in wanted:
        old = state.find(identity(entity))
        if old is None:
            changed.append(entity)
        elif isinstance(old, ApiKey) and isinstance(entity, ApiKey) and old.hash != entity.hash:
            changed.append(old.model_copy(update={"hash": entity.hash, "label": entity.label}))
    return Decision(command.account, tuple(changed))


def _hand_on(command: OrganizationAsked) -> Decision:
    account = command.organization.account
    founded = Founded(
        change_id=command.change_id,
        account=account,
        actor=command.actor,
        at_ms=command.at_ms,
        organization=command.organization,
        project=command.project,
        keys=command.keys,
    )
    return Decision(account, forwarded=(founded,))


def _change_organization(
    state: AccountState, command: OrganizationChange, now_ms: int
) -> Decision | Refused:
    if state.organization is None:
        return unknown("organization", command.account)
    fields = given(command, "name", "allowed_ips")
    if command.max_key_life_s is not None:
        fields["max_key_life_s"] = command.max_key_life_s or None
    return Decision(command.account, (changed(state.organization, fields, now_ms),))


def _create_project(state: AccountState, command: ProjectAsked) -> Decision | Refused:
    project = command.project
    if len(state.projects) >= MAX_PROJECTS:
        reason = f"An organization has {MAX_PROJECTS} projects at most."
        return Refused(project.project, Refusal.CONFLICT, reason)
    if project.project in state.projects:
        return taken(project.project)
    if any(other.name == project.name for other in state.projects.values()):
        reason = f"There is a project of the name {project.name!r} already."
        return Refused(project.project, Refusal.CONFLICT, reason)
    return Decision(project.project, (project,))


def _change_project(state: AccountState, command: ProjectChange, now_ms: int) -> Decision | Refused:
    project = state.projects.get(command.project)
    if project is None:
        return unknown("project", command.project)
    renewed = changed(project, given(command, "name", "disabled", "tags"), now_ms)
    cancels: tuple[Cancelled, ...] = ()
    if renewed.disabled != project.disabled:
        keys = [k for k in state.keys.values() if k.project == project.project and not k.disabled]
        cancels = tuple(cancel(key, now_ms, is_lifted=project.disabled) for key in keys)
    return Decision(command.project, (renewed,), cancels=cancels)


def _set_policy(state: AccountState, command: PolicyChange, now_ms: int) -> Decision | Refused:
    scope = command.scope
    if not state.has_scope(scope):
        return unknown("organization, project or key", scope)
    policy = Policy(
        account=state.account,
        scope=scope,
        rules=command.rules,
        version=state.number + 1,
        updated_at_ms=now_ms,
    )
    return Decision(policy_id(scope), (policy,))


def _clear_policy(state: AccountState, command: PolicyRemoval) -> Decision | Refused:
    identifier = policy_id(command.scope)
    if identifier not in state.policies:
        return unknown("policy of", command.scope)
    return Decision(identifier, deleted=(identifier,))
