"""What a command makes of an account. Pure: `(state, command, now) -> Decision | Refused`; nothing is changed here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from crossdock.accounts.permission import why_denied
from crossdock.accounts.state import AccountState, Entity, identity
from crossdock_schemas.account import ApiKey, Organization, Project
from crossdock_schemas.cancel import Cancelled
from crossdock_schemas.control import (
    Command,
    Founded,
    KeyAsked,
    KeyChange,
    KeyDeletion,
    KeyRotation,
    OrganizationAsked,
    OrganizationChange,
    ProjectAsked,
    ProjectChange,
    Refusal,
)
from crossdock_schemas.ids import KeyId

E = TypeVar("E", Organization, Project, ApiKey)

MAX_KEYS = 10_000
MAX_PROJECTS = 1_000


@dataclass(frozen=True)
class Decision:
    """What becomes of an account."""

    target: str
    changed: tuple[Entity, ...] = ()
    deleted: tuple[KeyId, ...] = ()
    cancels: tuple[Cancelled, ...] = ()
    forwarded: tuple[Founded, ...] = ()


@dataclass(frozen=True)
class Refused:
    """The command is not applied."""

    target: str
    refusal: Refusal
    reason: str
    changed: tuple[Entity, ...] = field(default=(), init=False)


def decide(  # noqa: C901, PLR0911, PLR0912  # one line for each command; mypy sees that none is missing
    state: AccountState, command: Command, now_ms: int
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
            return _create_key(state, command, now_ms)
        case KeyChange():
            return _change_key(state, command, now_ms)
        case KeyRotation():
            return _rotate_key(state, command, now_ms)
        case KeyDeletion():  # pragma: no branch  # mypy sees that no case is missing
            return _delete_key(state, command, now_ms)


def _target(command: Command) -> str:
    match command:
        case ProjectAsked():
            return command.project.project
        case ProjectChange():
            return command.project
        case KeyAsked():
            return command.key.key_id
        case KeyChange() | KeyRotation() | KeyDeletion():
            return command.key_id
        case OrganizationAsked():
            return command.organization.account
        case (
            Founded() | OrganizationChange()
        ):  # pragma: no branch  # mypy sees that no case is missing
            return command.account


def _found(state: AccountState, command: Founded) -> Decision:
    """Add what is not there. A key whose text became another one is replaced; all else stays as it was changed to."""
    known = {identity(entity): entity for entity in state.entities()}
    wanted: tuple[Entity, ...] = (command.organization, command.project, *command.keys)
    changed = []
    for entity in wanted:
        old = known.get(identity(entity))
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
        return _unknown("organization", command.account)
    fields = _given(command, "name", "allowed_ips")
    if command.max_key_life_s is not None:
        fields["max_key_life_s"] = command.max_key_life_s or None
    return Decision(command.account, (_with(state.organization, fields, now_ms),))


def _create_project(state: AccountState, command: ProjectAsked) -> Decision | Refused:
    project = command.project
    if len(state.projects) >= MAX_PROJECTS:
        reason = f"An organization has {MAX_PROJECTS} projects at most."
        return Refused(project.project, Refusal.CONFLICT, reason)
    if project.project in state.projects:
        return _taken(project.project)
    if any(other.name == project.name for other in state.projects.values()):
        reason = f"There is a project of the name {project.name!r} already."
        return Refused(project.project, Refusal.CONFLICT, reason)
    return Decision(project.project, (project,))


def _change_project(state: AccountState, command: ProjectChange, now_ms: int) -> Decision | Refused:
    project = state.projects.get(command.project)
    if project is None:
        return _unknown("project", command.project)
    changed = _with(project, _given(command, "name", "disabled", "tags"), now_ms)
    cancels: tuple[Cancelled, ...] = ()
    if changed.disabled != project.disabled:
        keys = [k for k in state.keys.values() if k.project == project.project and not k.disabled]
        cancels = tuple(_cancel(key, now_ms, is_lifted=project.disabled) for key in keys)
    return Decision(command.project, (changed,), cancels=cancels)


def _create_key(state: AccountState, command: KeyAsked, now_ms: int) -> Decision | Refused:
    key = command.key
    project = state.projects.get(key.project)
    if project is None:
        return _unknown("project", key.project)
    if project.disabled:
        return Refused(key.key_id, Refusal.CONFLICT, f"The project {key.project!r} is disabled.")
    if key.key_id in state.keys:
        return _taken(key.key_id)
    if len(state.keys) >= MAX_KEYS:
        reason = f"An organization has {MAX_KEYS} keys at most: delete some."
        return Refused(key.key_id, Refusal.CONFLICT, reason)
    wrong_end = _why_wrong_end(key, _max_life_s(state), now_ms)
    if wrong_end is not None:
        return Refused(key.key_id, Refusal.INVALID, wrong_end)
    return Decision(key.key_id, (key,))


def _why_wrong_end(key: ApiKey, life_s: int | None, now_ms: int) -> str | None:
    end_ms = key.expires_at_ms
    if end_ms is not None and end_ms <= now_ms:
        return "expires_at is in the past."
    if life_s and (end_ms is None or end_ms > now_ms + life_s * 1000):
        return f"The organization demands that a key expires within {life_s} s: set expires_at."
    return None


def _change_key(state: AccountState, command: KeyChange, now_ms: int) -> Decision | Refused:
    key = state.keys.get(command.key_id)
    if key is None:
        return _unknown("key", command.key_id)
    changed = _with(key, _given(command, "name", "disabled", "tags", "allowed_ips"), now_ms)
    if changed.disabled and state.is_last_owner(key):
        return _last_owner(key)
    cancels: tuple[Cancelled, ...] = ()
    was_stopped = _is_stopped(state, key)
    if _is_stopped(state, changed) != was_stopped:
        cancels = (_cancel(key, now_ms, is_lifted=was_stopped),)
    return Decision(key.key_id, (changed,), cancels=cancels)


def _is_stopped(state: AccountState, key: ApiKey) -> bool:
    return key.disabled or state.projects[key.project].disabled


def _rotate_key(state: AccountState, command: KeyRotation, now_ms: int) -> Decision | Refused:
    """Give `key` a successor that lives as long from now on as `key` did from its beginning."""
    key = state.keys.get(command.key_id)
    if key is None:
        return _unknown("key", command.key_id)
    if command.successor in state.keys:
        return _taken(command.successor)
    if not key.is_alive(now_ms):
        return Refused(key.key_id, Refusal.CONFLICT, "The key is disabled or has expired.")
    life_ms = None if key.expires_at_ms is None else key.expires_at_ms - key.created_at_ms
    limit_s = _max_life_s(state)
    if limit_s:
        life_ms = limit_s * 1000 if life_ms is None else min(life_ms, limit_s * 1000)
    successor = key.model_copy(
        update={
            "key_id": command.successor,
            "hash": command.hash,
            "label": command.label,
            "creator": command.actor,
            "rotated_from": key.key_id,
            "expires_at_ms": None if life_ms is None else now_ms + life_ms,
            "created_at_ms": now_ms,
            "updated_at_ms": now_ms,
        }
    )
    end_ms = now_ms + command.overlap_s * 1000
    if key.expires_at_ms is not None:
        end_ms = min(end_ms, key.expires_at_ms)
    return Decision(key.key_id, (successor, _with(key, {"expires_at_ms": end_ms}, now_ms)))


def _delete_key(state: AccountState, command: KeyDeletion, now_ms: int) -> Decision | Refused:
    key = state.keys.get(command.key_id)
    if key is None:
        return _unknown("key", command.key_id)
    if state.is_last_owner(key):
        return _last_owner(key)
    cancels = (_cancel(key, now_ms, is_lifted=False),)
    return Decision(key.key_id, deleted=(key.key_id,), cancels=cancels)


def _max_life_s(state: AccountState) -> int | None:
    return None if state.organization is None else state.organization.max_key_life_s


def _given(command: Command, *names: str) -> dict[str, Any]:
    """Return the fields that the caller asks to be changed."""
    values = {name: getattr(command, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _with(entity: E, fields: Mapping[str, Any], now_ms: int) -> E:
    return entity.model_copy(update={**fields, "updated_at_ms": now_ms})


def _cancel(key: ApiKey, now_ms: int, *, is_lifted: bool) -> Cancelled:
    return Cancelled(id=key.key_id, at_ms=now_ms, is_lifted=is_lifted)


def _unknown(what: str, identifier: str) -> Refused:
    return Refused(identifier, Refusal.NOT_FOUND, f"No such {what}: {identifier!r}.")


def _taken(identifier: str) -> Refused:
    return Refused(identifier, Refusal.CONFLICT, f"{identifier!r} exists already.")


def _last_owner(key: ApiKey) -> Refused:
    reason = "It is the organization's last owner's key: make another one first."
    return Refused(key.key_id, Refusal.CONFLICT, reason)
