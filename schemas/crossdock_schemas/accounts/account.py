"""Accounts: organizations, their projects and API keys, as the accounts shard keeps them and the directory shows them.

No plain key is in here: a key is known by the SHA-256 of its text.
"""

from decimal import Decimal
from enum import StrEnum

from pydantic import Field

from crossdock_schemas.ids import AccountId, KeyId, ProjectId
from crossdock_schemas.message import Message

MAX_NAME = 255
MAX_RPM = 1_000_000
MAX_TPM = 1_000_000_000


class Role(StrEnum):
    """What a management key may do. An inference key has none: it calls models and sees its own project's work."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    ANALYST = "analyst"


class Organization(Message):
    """Who pays: the account. Key in the directory: account."""

    account: AccountId
    name: str = Field(min_length=1, max_length=MAX_NAME)
    is_operator: bool = False
    """Runs the installation: its owners may create other organizations."""
    max_key_life_s: int | None = None
    """A new inference key must expire within this many seconds; None: it need not expire."""
    allowed_ips: tuple[str, ...] = ()
    """Networks in CIDR form that its keys may be used from; empty: from everywhere."""
    prepaid_from_usd: Decimal | None = None
    """What it had spent in all, USD, when it began to need credits for what it spends; None: it needs none."""
    created_at_ms: int
    updated_at_ms: int


class Project(Message):
    """An environment of an organization, such as production: keys, files and batches belong to one."""

    account: AccountId
    project: ProjectId
    name: str = Field(min_length=1, max_length=MAX_NAME)
    disabled: bool = False
    tags: dict[str, str] = Field(default_factory=dict)
    created_at_ms: int
    updated_at_ms: int


class ApiKey(Message):
    """A key. Key in the directory: its id."""

    key_id: KeyId
    hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the plain key, in hexadecimal."""
    label: str
    """The plain key's beginning and end, to be recognized by."""
    account: AccountId
    project: ProjectId
    name: str = Field(min_length=1, max_length=MAX_NAME)
    role: Role | None = None
    """Of a management key; None: an inference key."""
    disabled: bool = False
    tags: dict[str, str] = Field(default_factory=dict)
    allowed_ips: tuple[str, ...] = ()
    """Networks in CIDR form that it may be used from, besides what the organization demands; empty: from everywhere."""
    rpm: int | None = Field(default=None, ge=1, le=MAX_RPM)
    """Requests a minute at most; None: as many as come."""
    tpm: int | None = Field(default=None, ge=1, le=MAX_TPM)
    """Tokens a minute at most, input and output; None: as many as come."""
    expires_at_ms: int | None = None
    creator: KeyId | None = None
    """The management key that made it; None: the installation did."""
    rotated_from: KeyId | None = None
    """The key in whose place it came."""
    created_at_ms: int
    updated_at_ms: int

    @property
    def is_management(self) -> bool:
        return self.role is not None

    def is_alive(self, now_ms: int) -> bool:
        return not self.disabled and (self.expires_at_ms is None or now_ms < self.expires_at_ms)
