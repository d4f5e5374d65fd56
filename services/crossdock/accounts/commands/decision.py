"""What a command may make of an account, and the words for it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from crossdock_schemas.accounts.account import ApiKey, Organization, Project
from crossdock_schemas.accounts.control import Command, Credited, Founded, PrepaymentSet, Refusal
from crossdock_schemas.accounts.credential import Credential
from crossdock_schemas.accounts.directory import Entity
from crossdock_schemas.accounts.secret import SealedSecret
from crossdock_schemas.calls.cancel import Cancelled
from crossdock_schemas.ids import CredentialId

E = TypeVar("E", Organization, Project, ApiKey, Credential)


@dataclass(frozen=True)
class Decision:
    """What becomes of an account."""

    target: str
    changed: tuple[Entity, ...] = ()
    deleted: tuple[str, ...] = ()
    """Identities of entities."""
    cancels: tuple[Cancelled, ...] = ()
    forwarded: tuple[Founded | Credited | PrepaymentSet, ...] = ()
    """To another account's shard, or this one's own."""
    also_logged: Mapping[str, Any] = field(default_factory=dict)
    """What the log says besides the target's own fields."""
    secrets: tuple[tuple[CredentialId, SealedSecret | None], ...] = ()
    """What becomes of own provider keys' secrets; None: it is taken away."""


@dataclass(frozen=True)
class Refused:
    """The command is not applied."""

    target: str
    refusal: Refusal
    reason: str
    changed: tuple[Entity, ...] = field(default=(), init=False)


def given(command: Command, *names: str) -> dict[str, Any]:
    """Return the fields that the caller asks to be changed."""
    values = {name: getattr(command, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def changed(entity: E, fields: Mapping[str, Any], now_ms: int) -> E:
    return entity.model_copy(update={**fields, "updated_at_ms": now_ms})


def cancel(key: ApiKey, now_ms: int, *, is_lifted: bool) -> Cancelled:
    return Cancelled(id=key.key_id, at_ms=now_ms, is_lifted=is_lifted)


def unknown(what: str, identifier: str) -> Refused:
    return Refused(identifier, Refusal.NOT_FOUND, f"No such {what}: {identifier!r}.")


def taken(identifier: str) -> Refused:
    return Refused(identifier, Refusal.CONFLICT, f"{identifier!r} exists already.")
