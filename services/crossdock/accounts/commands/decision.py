"""Decisions on commands, and the specification of a command. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from crossdock.accounts.state.account import AccountState
from crossdock_schemas.accounts.account import ApiKey, Organization, Project, Role
from crossdock_schemas.accounts.control import Command, Credited, Founded, PrepaymentSet, Refusal
from crossdock_schemas.accounts.credential import Credential
from crossdock_schemas.accounts.directory import Entity
from crossdock_schemas.accounts.secret import SealedSecret
from crossdock_schemas.calls.cancel import Cancelled
from crossdock_schemas.ids import CredentialId
from crossdock_schemas.message import Message

E = TypeVar("E", Organization, Project, ApiKey, Credential)
C = TypeVar("C", bound=Message)


@dataclass(frozen=True)
class Decision:
    """How an account changes."""

    target: str
    changed: tuple[Entity, ...] = ()
    deleted: tuple[str, ...] = ()
    """Identities of entities."""
    cancels: tuple[Cancelled, ...] = ()
    forwarded: tuple[Founded | Credited | PrepaymentSet, ...] = ()
    """Commands for the shard of another account, or of the same one."""
    also_logged: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the log entry besides those of the target."""
    secrets: tuple[tuple[CredentialId, SealedSecret | None], ...] = ()
    """New secrets of BYOK keys; None: removed."""


@dataclass(frozen=True)
class Refused:
    """The command is not applied."""

    target: str
    refusal: Refusal
    reason: str
    changed: tuple[Entity, ...] = field(default=(), init=False)


def _no_keys(_state: AccountState, _command: Message) -> Iterable[ApiKey | None]:
    return ()


@dataclass(frozen=True)
class CommandSpec(Generic[C]):
    """The handler of a command, and the role that may send it."""

    command: type[C]
    handle: Callable[[AccountState, C], Decision | Refused]
    target: Callable[[C], str]
    """Returns the identity of what the command is about."""
    role: Role | None = Role.ADMIN
    """The lowest role of the actor; None: the installation, or the shard of another account, sends it."""
    keys: Callable[[AccountState, C], Iterable[ApiKey | None]] = _no_keys
    """Returns the keys that the command is about. A member may manage inference keys of its own project only, and an
    admin all but owners' keys."""
    is_operators: bool = False
    """Only owners of the operator's organization may send it."""


def given(command: Command, *names: str) -> dict[str, Any]:
    """Return the fields that `command` changes."""
    values = {name: getattr(command, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def changed(state: AccountState, entity: E, fields: Mapping[str, Any]) -> E:
    return entity.model_copy(update={**fields, "updated_at_ms": state.now_ms})


def cancel(state: AccountState, key: ApiKey, *, is_lifted: bool) -> Cancelled:
    return Cancelled(id=key.key_id, at_ms=state.now_ms, is_lifted=is_lifted)


def unknown(what: str, identifier: str) -> Refused:
    return Refused(identifier, Refusal.NOT_FOUND, f"No such {what}: {identifier!r}.")


def taken(identifier: str) -> Refused:
    return Refused(identifier, Refusal.CONFLICT, f"{identifier!r} exists already.")
