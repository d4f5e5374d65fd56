"""Own provider keys (BYOK): what everybody may know of one. The key itself is a `SealedSecret`. Pure."""

from typing import Annotated

from pydantic import Field, StringConstraints

from crossdock_schemas.accounts.account import MAX_NAME, ApiKey
from crossdock_schemas.accounts.attribution import MAX_USER
from crossdock_schemas.accounts.policy import MAX_PATTERNS, Patterns, is_meant
from crossdock_schemas.ids import AccountId, CredentialId, KeyId, ProjectId
from crossdock_schemas.message import Message
from crossdock_schemas.pricing.catalogue import Endpoint, Region

MAX_SORT_ORDER = 1_000_000
EndUser = Annotated[str, StringConstraints(min_length=1, max_length=MAX_USER)]
EndUsers = Annotated[tuple[EndUser, ...], Field(max_length=MAX_PATTERNS)]


class Credential(Message):
    """An own key at a provider, without the key. Key in the directory: its id."""

    credential_id: CredentialId
    account: AccountId
    project: ProjectId | None = None
    """The project that may use it; None: the whole organization."""
    provider: str
    """Its name in the catalogue."""
    name: str = Field(min_length=1, max_length=MAX_NAME)
    label: str = Field(max_length=16)
    """The secret's last characters, to be recognized by."""
    disabled: bool = False
    is_fallback: bool = False
    """It comes after the installation's own capacity; else before."""
    is_required: bool = False
    """The models that it covers are never called at its provider with the installation's key."""
    is_byok_only: bool = False
    """Nothing is ever called at its provider with the installation's key."""
    sort_order: int = Field(default=0, ge=0, le=MAX_SORT_ORDER)
    """Of several keys the lowest is tried first."""
    allowed_models: Patterns | None = None
    """Only such models; `*` stands for any text. None: every one."""
    allowed_keys: tuple[KeyId, ...] | None = Field(default=None, max_length=MAX_PATTERNS)
    """Only requests of these API keys. None: of every one."""
    allowed_users: EndUsers | None = None
    """Only requests for these end users, as they name them. None: for everybody, and for nobody in particular."""
    declared_zdr: bool = False
    """Its owner declares that the provider keeps nothing."""
    declared_region: Region | None = None
    """Where its owner declares that the provider works."""
    secret_version: int = Field(default=1, ge=1)
    """Each new secret raises it by one."""
    version: int = 0
    """Number of the change that set it, in its account's log."""
    created_at_ms: int
    updated_at_ms: int

    def concerns(self, key: ApiKey) -> bool:
        """Say whether requests of `key` may use it, whatever their model and their end user."""
        is_there = self.project in {None, key.project}
        is_allowed = self.allowed_keys is None or key.key_id in self.allowed_keys
        return not self.disabled and is_there and is_allowed

    def declared(self, endpoint: Endpoint) -> Endpoint:
        """Return `endpoint` as it is for calls with this key, as its owner declares."""
        told: dict[str, object] = {"retains_data": False} if self.declared_zdr else {}
        if self.declared_region is not None:
            told["region"] = self.declared_region
        return endpoint.model_copy(update=told) if told else endpoint

    def bears_on(self, model: str) -> bool:
        """Say whether it opens or closes anything to requests for `model`."""
        return self.is_byok_only or self.covers(model)

    def covers(self, model: str) -> bool:
        patterns = self.allowed_models
        return patterns is None or any(is_meant(model, pattern) for pattern in patterns)


class CredentialRef(Message):
    """An own key that a parcel may use, as its plan needs it."""

    credential_id: CredentialId
    provider: str
    is_fallback: bool = False
    sort_order: int = 0
    version: int
    """Of its secret when the parcel was admitted; a newer one is used instead."""
    endpoints: tuple[str, ...] | None = None
    """Names of those that it may be used at; None: all that are permitted at its provider."""

    def may_call(self, endpoint: Endpoint) -> bool:
        """Say whether it may be used at `endpoint`, which is permitted to somebody's key."""
        is_named = self.endpoints is None or endpoint.name in self.endpoints
        return self.provider == endpoint.provider and is_named
