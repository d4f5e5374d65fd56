"""Accounts: organizations, their projects and API keys, as the accounts shard stores them and the directory shows them.

No message contains a plain key: a key is identified by the SHA-256 of its text.
"""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

from pydantic import Field

from crossdock_schemas.ids import AccountId, KeyId, ProjectId
from crossdock_schemas.message import Message

MAX_NAME = 255
MAX_RPM = 1_000_000
MAX_TPM = 1_000_000_000


class Role(StrEnum):
    """The permissions of a management key. An inference key has none: it calls models and sees its project's work."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    ANALYST = "analyst"


class Organization(Message):
    """The account that pays. Key in the directory: account."""

    account: AccountId
    name: str = Field(min_length=1, max_length=MAX_NAME)
    is_operator: bool = False
    """It runs the installation: its owners may create other organizations."""
    max_key_life_s: int | None = None
    """A new inference key must expire within this many seconds; None: no limit."""
    allowed_ips: tuple[str, ...] = ()
    """Networks in CIDR form that its keys may be used from; empty: everywhere."""
    prepaid_from_usd: Decimal | None = None
    """USD that it had spent when credits became required for its spending; None: they are not required."""
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
    """Beginning and end of the plain key."""
    account: AccountId
    project: ProjectId
    name: str = Field(min_length=1, max_length=MAX_NAME)
    role: Role | None = None
    """Role of a management key; None: an inference key."""
    disabled: bool = False
    tags: dict[str, str] = Field(default_factory=dict)
    allowed_ips: tuple[str, ...] = ()
    """Networks in CIDR form that it may be used from, in addition to the organization's rule; empty: everywhere."""
    rpm: int | None = Field(default=None, ge=1, le=MAX_RPM)
    """Requests a minute at most; None: unlimited."""
    tpm: int | None = Field(default=None, ge=1, le=MAX_TPM)
    """Tokens a minute at most, input and output; None: unlimited."""
    expires_at_ms: int | None = None
    creator: KeyId | None = None
    """The management key that created it; None: the installation."""
    rotated_from: KeyId | None = None
    """The key that it replaced."""
    rotation_root: KeyId | None = None
    """The first key of its chain of rotations: budgets and limits a minute count the whole chain. None: it is the
    first, or an older version rotated it."""
    created_at_ms: int
    updated_at_ms: int

    @property
    def is_management(self) -> bool:
        return self.role is not None

    def is_alive(self, now_ms: int) -> bool:
        return not self.disabled and (self.expires_at_ms is None or now_ms < self.expires_at_ms)


def rotation_root(keys: Mapping[KeyId, ApiKey], key: ApiKey) -> KeyId:
    """Return the first key of a chain of rotations, as far as it is known: deleted keys end the search."""
    found: ApiKey | None = key
    root = key.key_id
    for _ in range(len(keys) + 1):
        if found is None or found.rotated_from is None:
            break
        root = found.rotation_root or found.rotated_from
        found = keys.get(root)
    return root
