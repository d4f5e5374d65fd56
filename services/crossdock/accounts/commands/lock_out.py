"""Locking out: a change after which the key that asks, or every owner's key, does not work. Pure.

It is refused, unless the command is forced. The way back is `crossdock recover`, at the machine.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from crossdock.accounts.commands.decision import Decision
from crossdock.accounts.state.account import AccountState
from crossdock_schemas.accounts.account import ApiKey, Organization, Project, Role
from crossdock_schemas.accounts.control import GuardedCommand, KeyChange, KeyDeletion, KeyRotation
from crossdock_schemas.accounts.networks import is_within
from crossdock_schemas.ids import KeyId, ProjectId

REMEDY = (
    "Make another owner's key first, or force it: `?force=lock_out`, on the command line `--force`."
)


@dataclass(frozen=True)
class Access:
    """The part of an account that decides whether a key works."""

    organization: Organization | None
    projects: Mapping[ProjectId, Project]
    keys: Mapping[KeyId, ApiKey]
    address: str | None
    """The address of the caller; None: it is not known, and lists of networks are not regarded."""

    def after(self, decision: Decision) -> Self:
        """Return it as it is after a decision."""
        organization, projects, keys = self.organization, dict(self.projects), dict(self.keys)
        for entity in decision.changed:
            if isinstance(entity, Organization):
                organization = entity
            elif isinstance(entity, Project):
                projects[entity.project] = entity
            elif isinstance(entity, ApiKey):
                keys[entity.key_id] = entity
        for identifier in decision.deleted:
            keys.pop(KeyId(identifier), None)
        return type(self)(organization, projects, keys, self.address)

    def works(self, key: ApiKey | None, now_ms: int) -> bool:
        """Return whether a key works at a time, from the caller's address."""
        return key is not None and self._is_alive(key, now_ms) and self._is_reached(key)

    def _is_alive(self, key: ApiKey, now_ms: int) -> bool:
        project = self.projects.get(key.project)
        return key.is_alive(now_ms) and project is not None and not project.disabled

    def _is_reached(self, key: ApiKey) -> bool:
        if self.address is None:
            return True
        lists = (self.organization.allowed_ips if self.organization else (), key.allowed_ips)
        return all(is_within(self.address, networks) for networks in lists if networks)

    def owners(self, now_ms: int) -> list[ApiKey]:
        """Return the owners' keys that are alive."""
        owners = (key for key in self.keys.values() if key.role is Role.OWNER)
        return [key for key in owners if self._is_alive(key, now_ms)]

    def permanent(self, now_ms: int) -> list[ApiKey]:
        """Return the owners' keys that never expire."""
        return [key for key in self.owners(now_ms) if key.expires_at_ms is None]

    def reached(self, now_ms: int) -> list[ApiKey]:
        """Return the owners' keys that never expire and work from the caller's address."""
        return [key for key in self.permanent(now_ms) if self._is_reached(key)]


def why_locked_out(state: AccountState, command: GuardedCommand, decision: Decision) -> str | None:
    """Return which keys `decision` locks out that work before; None: no such keys."""
    before = Access(state.organization, state.projects, state.keys, command.address)
    after = before.after(decision)
    losses: Iterable[tuple[Callable[[Access], bool], str]] = (
        (
            lambda access: bool(access.owners(state.now_ms)),
            "No other key of an owner works: this is the organization's last owner's key",
        ),
        (
            lambda access: bool(access.permanent(state.now_ms)),
            "It is the organization's last owner's key that never expires",
        ),
        (
            lambda access: bool(access.reached(state.now_ms)),
            f"From {command.address} no owner's key that never expires would work any more",
        ),
        (
            lambda access: _asks_on(access, command, state.now_ms),
            f"The key that asks would not work any more, from {command.address or 'anywhere'}",
        ),
    )
    loss = next((text for works, text in losses if works(before) and not works(after)), None)
    return None if loss is None else f"{loss}. {REMEDY}"


def _asks_on(access: Access, command: GuardedCommand, now_ms: int) -> bool:
    """Return whether the key that asks works; a command to end a key is meant so."""
    is_end = isinstance(command, KeyDeletion | KeyRotation) or (
        isinstance(command, KeyChange) and command.disabled is True
    )
    key = None if command.actor is None else access.keys.get(command.actor)
    return not is_end and access.works(key, now_ms)
