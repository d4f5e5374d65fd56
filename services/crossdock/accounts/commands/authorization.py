"""Who may ask for what. Pure."""

from crossdock.accounts.state.account import AccountState
from crossdock_schemas.accounts.account import ApiKey, Role
from crossdock_schemas.accounts.control import (
    BudgetChange,
    BudgetRemoval,
    Command,
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
    PrepaymentAsked,
    PrepaymentSet,
)
from crossdock_schemas.ids import KeyId

OperatorsCommand = OrganizationAsked | CreditAsked | PrepaymentAsked


def why_denied(state: AccountState, command: Command, now_ms: int) -> str | None:
    """Return why the actor of `command` may not ask for it; None if it may.

    owner: everything. admin: all but the organization itself and owners' keys. member: inference keys of its own
    project. analyst: nothing, it reads.
    """
    if isinstance(command, CredentialRewrap):
        return None  # it shows and changes nothing: ingress lets the operator's owners ask for any account's
    if isinstance(command, Founded | Credited | PrepaymentSet):
        return None  # the installation itself asks, or the operator's shard, which asked already
    actor = state.keys.get(command.actor) if command.actor is not None else None
    if actor is None or not actor.is_alive(now_ms):
        return "The key that asks does not exist any more, or is disabled or expired."
    if actor.role is None:
        return "An inference key manages nothing. Use a management key."
    if actor.role is Role.OWNER:
        return _owner(state, command)
    if isinstance(command, OperatorsCommand | OrganizationChange):
        return f"The role {actor.role.value} may not change organizations. Use an owner's key."
    keys = _keys_of(state, command)
    if actor.role is Role.ADMIN:
        return _admin(keys)
    return (
        _member(actor, keys)
        if actor.role is Role.MEMBER
        else "An analyst reads and changes nothing."
    )


def _owner(state: AccountState, command: Command) -> str | None:
    is_operator = state.organization is not None and state.organization.is_operator
    if isinstance(command, OperatorsCommand) and not is_operator:
        return (
            "Only owners of the operator's organization may create organizations and book credits."
        )
    return None


def _admin(keys: list[ApiKey]) -> str | None:
    if any(key.role is Role.OWNER for key in keys):
        return "An admin may not touch owners' keys. Use an owner's key."
    return None


def _member(actor: ApiKey, keys: list[ApiKey]) -> str | None:
    if keys and all(key.role is None and key.project == actor.project for key in keys):
        return None
    return f"A member manages the inference keys of its own project, {actor.project!r}, and nothing else."


def _keys_of(state: AccountState, command: Command) -> list[ApiKey]:
    """Return the keys that `command` is about; one that does not exist is found out later."""
    if isinstance(command, KeyAsked):
        return [command.key]
    if isinstance(command, KeyChange | KeyRotation | KeyDeletion):
        found = state.keys.get(command.key_id)
        return [] if found is None else [found]
    if isinstance(command, BudgetChange | BudgetRemoval):
        found = state.keys.get(KeyId(command.scope))
        return [] if found is None else [found]
    return []
