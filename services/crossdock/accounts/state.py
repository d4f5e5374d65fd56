"""The state of one account, and how it lies in pages on the compacted topic. Pure."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from crossdock.kernel.record import Page
from crossdock_schemas.account import ApiKey, Organization, Project, Role
from crossdock_schemas.directory import KINDS, Entity, policy_id
from crossdock_schemas.ids import AccountId, KeyId, ProjectId
from crossdock_schemas.journal import Spend
from crossdock_schemas.policy import Policy

HEAD = "head"


@dataclass
class AccountState:
    """All that one account is."""

    account: AccountId
    number: int = 0
    """Of its last change."""
    entries: int = 0
    """Of its last entry in the journal."""
    now_ms: int = 0
    """Its clock, which never goes back."""
    organization: Organization | None = None
    projects: dict[ProjectId, Project] = field(default_factory=dict)
    keys: dict[KeyId, ApiKey] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    """By identity."""
    spends: dict[KeyId, Spend] = field(default_factory=dict)
    """Also of keys that were deleted."""

    def put(self, entity: Entity) -> None:
        match entity:
            case Organization():
                self.organization = entity
            case Project():
                self.projects[entity.project] = entity
            case ApiKey():
                self.keys[entity.key_id] = entity
            case Policy():
                self.policies[policy_id(entity.scope)] = entity
            case Spend():  # pragma: no branch  # mypy sees that no case is missing
                self.spends[entity.key_id] = entity

    def find(self, identifier: str) -> Entity | None:
        """Return the organization, project, key or policy of that identity."""
        return (
            {self.account: self.organization}.get(AccountId(identifier))
            or self.projects.get(ProjectId(identifier))
            or self.keys.get(KeyId(identifier))
            or self.policies.get(identifier)
        )

    def drop(self, identifier: str) -> None:
        """Take a key or a policy away."""
        if identifier in self.policies:
            del self.policies[identifier]
        else:
            del self.keys[KeyId(identifier)]

    def entities(self) -> list[Entity]:
        organization = [] if self.organization is None else [self.organization]
        return [
            *organization,
            *self.projects.values(),
            *self.keys.values(),
            *self.policies.values(),
            *self.spends.values(),
        ]

    def is_last_owner(self, key: ApiKey) -> bool:
        """Say whether without `key` nobody could manage the organization any more."""
        owners = [k for k in self.keys.values() if k.role is Role.OWNER and not k.disabled]
        return owners == [key]


def identity(entity: Entity) -> str:
    match entity:
        case Organization():
            return entity.account
        case Project():
            return entity.project
        case ApiKey():
            return entity.key_id
        case Policy():
            return policy_id(entity.scope)
        case Spend():  # pragma: no branch  # mypy sees that no case is missing
            return f"spend_{entity.key_id}"


def entity_page(entity: Entity) -> Page:
    return Page(f"{entity.account}/{identity(entity)}".encode(), entity.to_json())


def gone_page(account: AccountId, identifier: str) -> Page:
    return Page(f"{account}/{identifier}".encode(), None)


def head_page(state: AccountState) -> Page:
    value = json.dumps({"number": state.number, "entries": state.entries, "now_ms": state.now_ms})
    return Page(f"{state.account}/{HEAD}".encode(), value.encode())


def restore_states(pages: Iterable[Page]) -> dict[AccountId, AccountState]:
    """Return the accounts that `pages` hold."""
    states: dict[AccountId, AccountState] = {}
    for key, value in pages:
        account, _, identifier = key.decode().partition("/")
        if value is None:
            continue  # taken away; a compacted topic shows it for a while
        state = states.setdefault(AccountId(account), AccountState(AccountId(account)))
        if identifier == HEAD:
            head = json.loads(value)
            state.number, state.entries = head["number"], head["entries"]
            state.now_ms = head["now_ms"]
        else:
            state.put(KINDS[identifier.partition("_")[0]].from_json(value))
    return states
