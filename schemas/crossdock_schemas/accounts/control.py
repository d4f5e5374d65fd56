"""Control: commands of management to the accounts shard, and the log of their outcomes."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal, get_args

from pydantic import Field, TypeAdapter

from crossdock_schemas.accounts.account import (
    MAX_NAME,
    MAX_RPM,
    MAX_TPM,
    ApiKey,
    Organization,
    Project,
)
from crossdock_schemas.accounts.budget import Limit, Usd
from crossdock_schemas.accounts.credential import MAX_SORT_ORDER, Credential, EndUsers
from crossdock_schemas.accounts.credit import MAX_REFERENCE, CreditKind, Reference
from crossdock_schemas.accounts.credit import Usd as CreditUsd
from crossdock_schemas.accounts.policy import MAX_PATTERNS, Patterns, Rules
from crossdock_schemas.accounts.preset import PresetSettings, Slug
from crossdock_schemas.accounts.secret import SealedSecret
from crossdock_schemas.ids import AccountId, ChangeId, CredentialId, KeyId, ProjectId
from crossdock_schemas.message import Message
from crossdock_schemas.pricing.catalogue import Region
from crossdock_schemas.windows import Window


class _Command(Message):
    """Keyed by account, so that one shard applies all commands of an account in order."""

    change_id: ChangeId
    account: AccountId
    actor: KeyId | None = None
    """The management key of the caller; None: the installation itself, for `Founded` and `Recovered`."""
    at_ms: int


class _Guarded(_Command):
    """A command that can lock keys out. It is refused if it does, unless it is forced."""

    force: bool | None = None
    """True: apply it even if the key that asks, or every owner's key, does not work any more afterwards."""
    address: str | None = None
    """The address of the caller, which lists of networks must include."""


class Founded(_Command):
    """Create an organization, a project and first keys. Existing ones stay, except for the new text of a key."""

    do: Literal["found"] = "found"
    organization: Organization
    project: Project
    keys: tuple[ApiKey, ...]


class OrganizationAsked(_Command):
    """The operator's organization creates another one. Its own shard forwards the command as `Founded`."""

    do: Literal["create_organization"] = "create_organization"
    organization: Organization
    project: Project
    keys: tuple[ApiKey, ...]


class OrganizationChange(_Guarded):
    """Fields that are None stay as they are."""

    do: Literal["change_organization"] = "change_organization"
    name: str | None = Field(default=None, min_length=1, max_length=MAX_NAME)
    max_key_life_s: int | None = Field(default=None, ge=0)
    """0: no limit."""
    allowed_ips: tuple[str, ...] | None = None


class ProjectAsked(_Command):
    do: Literal["create_project"] = "create_project"
    project: Project


class ProjectChange(_Guarded):
    """Fields that are None stay as they are."""

    do: Literal["change_project"] = "change_project"
    project: ProjectId
    name: str | None = Field(default=None, min_length=1, max_length=MAX_NAME)
    disabled: bool | None = None
    tags: dict[str, str] | None = None


class KeyAsked(_Command):
    do: Literal["create_key"] = "create_key"
    key: ApiKey
    limit: Limit | None = None
    """Its first budget."""


class KeyChange(_Guarded):
    """Fields that are None stay as they are."""

    do: Literal["change_key"] = "change_key"
    key_id: KeyId
    rpm: int | None = Field(default=None, ge=0, le=MAX_RPM)
    """0: no limit."""
    tpm: int | None = Field(default=None, ge=0, le=MAX_TPM)
    """0: no limit."""
    name: str | None = Field(default=None, min_length=1, max_length=MAX_NAME)
    disabled: bool | None = None
    tags: dict[str, str] | None = None
    allowed_ips: tuple[str, ...] | None = None


class KeyRotation(_Guarded):
    """A key gets a successor with the same settings, and stays valid for `overlap_s`."""

    do: Literal["rotate_key"] = "rotate_key"
    key_id: KeyId
    successor: KeyId
    hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    label: str
    overlap_s: int = Field(ge=0)


class KeyDeletion(_Guarded):
    do: Literal["delete_key"] = "delete_key"
    key_id: KeyId


class Recovered(_Command):
    """The way back at the machine: a new owner's key, in an enabled project, and no list of networks."""

    do: Literal["recover"] = "recover"
    key_id: KeyId
    hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    label: str


class PolicyChange(_Command):
    """Replace the rules of a scope, but for those that are kept."""

    do: Literal["set_policy"] = "set_policy"
    scope: str
    rules: Rules
    kept: tuple[str, ...] | None = None
    """Rules that stay as they are; None: none of them."""


class PolicyRemoval(_Command):
    do: Literal["clear_policy"] = "clear_policy"
    scope: str


class BudgetChange(_Command):
    """Set the budget of a scope in a window; its other windows stay, unless this is the `only` one."""

    do: Literal["set_budget"] = "set_budget"
    scope: str
    window: Window
    limit_usd: Usd
    include_byok: bool = False
    overshoot_usd: Usd = Decimal(0)
    only: bool = False
    kept: tuple[Literal["limit_usd", "include_byok", "overshoot_usd"], ...] | None = None
    """Fields that stay as they are, if there is such a budget; None: none of them."""


class BudgetRemoval(_Command):
    """End the budget of one window, or all budgets of a scope."""

    do: Literal["clear_budget"] = "clear_budget"
    scope: str
    window: Window | None = None


class PresetChange(_Command):
    """Replace the settings of a preset of an organization or a project, but for those that are kept."""

    do: Literal["set_preset"] = "set_preset"
    scope: str
    slug: Slug
    settings: PresetSettings
    kept: tuple[str, ...] | None = None
    """Settings that stay as they are; None: none of them. Else parameters are merged, and one that is null ends."""


class PresetRemoval(_Command):
    do: Literal["clear_preset"] = "clear_preset"
    scope: str
    slug: Slug


class CredentialAsked(_Command):
    """Add a BYOK key, whose secret is already encrypted."""

    do: Literal["create_credential"] = "create_credential"
    credential: Credential
    sealed: SealedSecret


class CredentialChange(_Command):
    """Fields that are None and not in `emptied` stay as they are."""

    do: Literal["change_credential"] = "change_credential"
    credential_id: CredentialId
    name: str | None = Field(default=None, min_length=1, max_length=MAX_NAME)
    disabled: bool | None = None
    is_fallback: bool | None = None
    is_required: bool | None = None
    is_byok_only: bool | None = None
    sort_order: int | None = Field(default=None, ge=0, le=MAX_SORT_ORDER)
    allowed_models: Patterns | None = None
    allowed_keys: tuple[KeyId, ...] | None = Field(default=None, max_length=MAX_PATTERNS)
    allowed_users: EndUsers | None = None
    declared_zdr: bool | None = None
    declared_region: Region | None = None
    emptied: tuple[
        Literal["allowed_models", "allowed_keys", "allowed_users", "declared_region"], ...
    ] = ()
    """Fields to clear."""
    sealed: SealedSecret | None = None
    """A new secret of the next version."""
    label: str | None = Field(default=None, max_length=16)
    """Label of the new secret."""


class CredentialDeletion(_Command):
    do: Literal["delete_credential"] = "delete_credential"
    credential_id: CredentialId


class CredentialRewrap(_Command):
    """The same secret under another master key; nothing else changes."""

    do: Literal["rewrap_credential"] = "rewrap_credential"
    credential_id: CredentialId
    sealed: SealedSecret


class CreditAsked(_Command):
    """The operator's organization adds credits to an organization. Its own shard forwards the command as `Credited`."""

    do: Literal["ask_credit"] = "ask_credit"
    organization: AccountId
    kind: CreditKind
    amount_usd: CreditUsd
    reference: Reference
    note: str | None = Field(default=None, max_length=MAX_REFERENCE)
    expires_at_ms: int | None = None
    """Expiry of the unspent rest; None: never."""


class Credited(_Command):
    """Add credits. A repeated reference is refused."""

    do: Literal["credit"] = "credit"
    kind: CreditKind
    amount_usd: CreditUsd | None = None
    """Amount of the credits, without the fee. None: `paid_usd` less the fee."""
    paid_usd: CreditUsd | None = None
    """Amount that was paid, including the fee."""
    reference: Reference
    note: str | None = Field(default=None, max_length=MAX_REFERENCE)
    expires_at_ms: int | None = None
    """Expiry of the unspent rest; None: never."""


class PrepaymentAsked(_Command):
    """The operator's organization sets whether an organization requires credits. Forwarded as `PrepaymentSet`."""

    do: Literal["ask_prepayment"] = "ask_prepayment"
    organization: AccountId
    is_prepaid: bool


class PrepaymentSet(_Command):
    do: Literal["set_prepayment"] = "set_prepayment"
    is_prepaid: bool


Command = Annotated[
    Founded
    | OrganizationAsked
    | OrganizationChange
    | ProjectAsked
    | ProjectChange
    | KeyAsked
    | KeyChange
    | KeyRotation
    | KeyDeletion
    | Recovered
    | PolicyChange
    | PolicyRemoval
    | BudgetChange
    | BudgetRemoval
    | PresetChange
    | PresetRemoval
    | CredentialAsked
    | CredentialChange
    | CredentialDeletion
    | CredentialRewrap
    | CreditAsked
    | Credited
    | PrepaymentAsked
    | PrepaymentSet,
    Field(discriminator="do"),
]
GuardedCommand = OrganizationChange | ProjectChange | KeyChange | KeyRotation | KeyDeletion
COMMANDS: tuple[type[Message], ...] = get_args(get_args(Command)[0])
account_command: TypeAdapter[Command] = TypeAdapter(Command)


class Refusal(StrEnum):
    """Why a command was not applied."""

    NOT_FOUND = "not_found"
    PERMISSION_DENIED = "permission_denied"
    CONFLICT = "conflict"
    INVALID = "invalid_request"


class Change(Message):
    """One command and its outcome. Numbered per account without a gap, refused ones too."""

    change_id: ChangeId
    account: AccountId
    number: int
    """From 1."""
    at_ms: int
    """Time of the decision."""
    actor: KeyId | None = None
    action: str
    """The command's `do`."""
    target: str
    """Id of the organization, project, key, policy, budget, preset or BYOK key."""
    before: dict[str, str] = Field(default_factory=dict)
    """The old values of the changed fields: JSON by name."""
    after: dict[str, str] = Field(default_factory=dict)
    """The new values of the same fields."""
    refusal: Refusal | None = None
    reason: str | None = None
    """Reason for the caller, if it was refused."""
