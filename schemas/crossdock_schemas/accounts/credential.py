"""BYOK keys: their public metadata. The key itself is a `SealedSecret`. Pure."""

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
    """A customer's key at a provider, without the secret. Key in the directory: its id."""

    credential_id: CredentialId
    account: AccountId
    project: ProjectId | None = None
    """The project that may use it; None: the whole organization."""
    provider: str
    """Its name in the catalogue."""
    name: str = Field(min_length=1, max_length=MAX_NAME)
    label: str = Field(max_length=16)
    """The last characters of the secret."""
    disabled: bool = False
    is_fallback: bool = False
    """It is tried after the installation key; otherwise before."""
    is_required: bool = False
    """Its models are never called at its provider with the installation key."""
    is_byok_only: bool = False
    """No model is called at its provider with the installation key."""
    sort_order: int = Field(default=0, ge=0, le=MAX_SORT_ORDER)
    """The key with the lowest number is tried first."""
    allowed_models: Patterns | None = None
    """Only these models; `*` matches any text. None: all."""
    allowed_keys: tuple[KeyId, ...] | None = Field(default=None, max_length=MAX_PATTERNS)
    """Only requests of these API keys. None: all."""
    allowed_users: EndUsers | None = None
    """Only requests for these end users, as requests name them. None: all requests."""
    declared_zdr: bool = False
    """Its owner declares that the provider stores nothing."""
    declared_region: Region | None = None
    """Region of the provider, as its owner declares."""
    secret_version: int = Field(default=1, ge=1)
    """Each new secret raises it by one."""
    version: int = 0
    """Number of the change that set it, in its account's log."""
    created_at_ms: int
    updated_at_ms: int

    def concerns(self, key: ApiKey) -> bool:
        """Return whether requests of `key` may use it, without regard to model and end user."""
        is_there = self.project in {None, key.project}
        is_allowed = self.allowed_keys is None or key.key_id in self.allowed_keys
        return not self.disabled and is_there and is_allowed

    def declared(self, endpoint: Endpoint) -> Endpoint:
        """Return `endpoint` with the declarations of the owner, for calls with this key."""
        declared: dict[str, object] = {"retains_data": False} if self.declared_zdr else {}
        if self.declared_region is not None:
            declared["region"] = self.declared_region
        return endpoint.model_copy(update=declared) if declared else endpoint

    def bears_on(self, model: str) -> bool:
        """Return whether it can change the candidates of requests for `model`."""
        return self.is_byok_only or self.covers(model)

    def covers(self, model: str) -> bool:
        patterns = self.allowed_models
        return patterns is None or any(is_meant(model, pattern) for pattern in patterns)


class CredentialRef(Message):
    """A BYOK key that a parcel may use, with the fields that its plan needs."""

    credential_id: CredentialId
    provider: str
    is_fallback: bool = False
    sort_order: int = 0
    version: int
    """Version of its secret when the parcel was admitted; workers use a newer one."""
    endpoints: tuple[str, ...] | None = None
    """Names of its endpoints; None: all permitted ones of its provider."""

    def may_call(self, endpoint: Endpoint) -> bool:
        """Return whether it may be used at `endpoint`, which some key is permitted to use."""
        is_named = self.endpoints is None or endpoint.name in self.endpoints
        return self.provider == endpoint.provider and is_named
