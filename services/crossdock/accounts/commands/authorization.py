"""Authorization: which role may send which command. Pure."""

from collections.abc import Sequence
from typing import Any

from crossdock.accounts.commands.decision import CommandSpec
from crossdock.accounts.state.account import AccountState
from crossdock_schemas.accounts.account import ApiKey, Role
from crossdock_schemas.accounts.control import Command


def why_denied(state: AccountState, command: Command, spec: CommandSpec[Any]) -> str | None:
    """Return why the actor of `command` may not send it; None: it may.

    An owner may do everything; an admin all but change the organization and owners' keys; a member manages inference
    keys of its own project; an analyst changes nothing.
    """
    if spec.role is None:
        return None
    actor = None if command.actor is None else state.keys.get(command.actor)
    if actor is None or not actor.is_alive(state.now_ms):
        return "The key that asks does not exist any more, or is disabled or expired."
    if actor.role is None:
        return "An inference key manages nothing. Use a management key."
    if actor.role is Role.OWNER:
        is_operator = state.organization is not None and state.organization.is_operator
        return NOT_OPERATOR if spec.is_operators and not is_operator else None
    if spec.role is Role.OWNER:
        return f"The role {actor.role.value} may not change organizations. Use an owner's key."
    known = [key for key in spec.keys(state, command) if key is not None]
    if actor.role is Role.ADMIN:
        is_owners = any(key.role is Role.OWNER for key in known)
        return "An admin may not touch owners' keys. Use an owner's key." if is_owners else None
    if actor.role is Role.MEMBER:
        return _why_denied_member(actor, known)
    return "An analyst reads and changes nothing."


NOT_OPERATOR = (
    "Only owners of the operator's organization may create organizations and book credits."
)


def _why_denied_member(actor: ApiKey, known: Sequence[ApiKey]) -> str | None:
    if known and all(key.role is None and key.project == actor.project for key in known):
        return None
    return f"A member manages the inference keys of its own project, {actor.project!r}, and nothing else."
