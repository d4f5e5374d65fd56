"""Request and answer models of the BYOK routes: OpenRouter's fields, and ours.

A provider's key is read into a `TakenKey`, which no text shows, and no refusal repeats it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasPath,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    SecretStr,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from crossdock.ingress.values import errors, types
from crossdock.ingress.values.models import AnswerModel, Counted, Data, RequestModel, fault
from crossdock.kernel.requests.provider_keys import (
    MAX_BYTES,
    KeyShapeError,
    ProviderKey,
    address_of,
    read_provider_key,
    sealed_text,
)
from crossdock_schemas.accounts.account import ApiKey
from crossdock_schemas.accounts.attribution import MAX_USER
from crossdock_schemas.accounts.credential import MAX_SORT_ORDER, Credential, EndUser
from crossdock_schemas.accounts.policy import MAX_PATTERNS, Patterns
from crossdock_schemas.accounts.secret import SealedSecret
from crossdock_schemas.ids import KeyId
from crossdock_schemas.pricing.catalogue import Provider, Region

EMPTIED = {
    "allowed_models": "allowed_models",
    "allowed_api_key_hashes": "allowed_keys",
    "allowed_user_ids": "allowed_users",
    "declared_region": "declared_region",
}
"""Fields that a null opens, and their names in the command."""
HASH = r"[0-9a-f]{64}"
_HASHES = f"an array of 1 to {MAX_PATTERNS} keys' SHA-256, as 64 hexadecimal digits each"
_USERS = (
    f"an array of 1 to {MAX_PATTERNS} end users' ids, of 1 to {MAX_USER} characters each; "
    "null: the key serves every caller; `disabled`: no caller"
)


@dataclass(frozen=True)
class TakenKey:
    """A provider's key as it was sent; its text is never shown."""

    given: str | dict[str, Any] = field(repr=False)

    def read(self, provider: Provider) -> tuple[SecretStr, ProviderKey]:
        """Return the text to seal, and the key in its provider's shape.

        Raises:
            RefusedError: if it has another shape, or does not fill the provider's address.
        """
        try:
            key = read_provider_key(provider.auth, self.given)
            address_of(provider.base_url, key)
        except KeyShapeError as error:
            raise errors.no_secret(error.field, error.rule) from None
        return sealed_text(self.given), key


def _take(given: object) -> TakenKey:
    if not isinstance(given, str | dict):
        raise PydanticCustomError("key_type", "")
    return TakenKey(given)


SentKey = Annotated[
    TakenKey,
    PlainValidator(_take),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 8, "maxLength": MAX_BYTES},
                {"type": "object", "additionalProperties": True},
            ],
            "writeOnly": True,
            "description": "The provider's key: a text; of Azure, Bedrock and Vertex an object or its JSON. It is sealed at once "
            "and never shown.",
        }
    ),
]


def _some(rule: str, entry: str = "") -> BeforeValidator:
    """Refuse an array that is empty or too long, or has an entry of another form, with the rule in one sentence."""

    def check(given: Any) -> Any:
        if not isinstance(given, list):
            return given
        if not 1 <= len(given) <= MAX_PATTERNS:
            raise fault(f"Expected {rule}.", shown=f"{len(given)} entries")
        for one in given if entry else ():
            if not isinstance(one, str) or not re.fullmatch(entry, one):
                raise fault(f"Expected {rule}.", shown=one)
        return given

    return BeforeValidator(check)


def _each_once(given: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(given))


_SOME = Field(min_length=1, max_length=MAX_PATTERNS)
Hashes = Annotated[
    tuple[types.KeyHash, ...], _SOME, AfterValidator(_each_once), _some(_HASHES, HASH)
]
Users = Annotated[tuple[EndUser, ...], _SOME, AfterValidator(_each_once), _some(_USERS)]


class ByokUpdate(RequestModel):
    """A field that is not sent stays as it is; a null opens the `allowed_` lists and `declared_region`."""

    key: SentKey | None = None
    name: types.Name | None = None
    disabled: types.Flag | None = None
    is_fallback: types.Flag | None = None
    """Tried after the installation key; else before it."""
    is_required: types.Flag | None = None
    """The models that it covers are never called at its provider with the installation key."""
    is_byok_only: types.Flag | None = None
    """Nothing is called at its provider with the installation key. Not with `is_fallback`."""
    declared_zdr: types.Flag | None = None
    """Its owner declares that the provider keeps nothing."""
    sort_order: types.Whole | None = Field(None, ge=0, le=MAX_SORT_ORDER)
    """The key with the lowest number is tried first."""
    allowed_models: Patterns | None = None
    """Only these models, `*` for any text; null: all."""
    allowed_api_key_hashes: Hashes | None = None
    """Only requests of these API keys; null: of all."""
    allowed_user_ids: Users | None = None
    """Only requests for these end users (`safety_identifier` or `user`); null: for all."""
    declared_region: Region | None = None
    """As its owner declares; policies go by it for calls with this key."""

    def fields(self) -> dict[str, Any]:
        """Return the credential's fields that it sets, without the secret and the API keys."""
        sent = self.given()
        users = sent.pop("allowed_user_ids", None)
        for name in ("key", "provider", "project_id", "test", "allowed_api_key_hashes"):
            sent.pop(name, None)
        return sent | ({} if users is None else {"allowed_users": users})

    def emptied(self) -> tuple[str, ...]:
        """Return the credential's names of the fields that it opens."""
        nulls = (name for name in self.model_fields_set if getattr(self, name) is None)
        return tuple(sorted(EMPTIED[name] for name in nulls if name in EMPTIED))


class ByokCreate(ByokUpdate):
    provider: str
    """Its name in the catalogue."""
    key: SentKey
    project_id: types.ProjectId | None = None
    """Null: the whole organization's."""
    test: types.Flag | None = None
    """True: first ask the provider for its models with the key."""


class SealedKey(RequestModel, SealedSecret):
    """A BYOK key under the first master key."""

    model_config = ConfigDict(extra="ignore", strict=True)

    account: types.OrganizationId  # type: ignore[assignment]  # why: an id with its name in the document
    credential_id: types.ByokId  # type: ignore[assignment]  # why: the same


class ByokObject(AnswerModel):
    """A BYOK key, without the key."""

    id: types.ByokId = Field(validation_alias="credential_id")
    organization_id: types.OrganizationId = Field(validation_alias="account")
    project_id: types.ProjectId | None = Field(validation_alias="project")
    """Null: the whole organization's."""
    workspace_id: types.ProjectId | None = Field(validation_alias=AliasPath("project"))
    """The project, by OpenRouter's name."""
    provider: str
    name: types.Name
    label: str
    """The key's last characters, to be recognized by."""
    disabled: bool
    is_fallback: bool
    """Tried after the installation key; else before it."""
    is_required: bool
    """The models that it covers are never called at its provider with the installation key."""
    is_byok_only: bool
    """Nothing is called at its provider with the installation key."""
    sort_order: int = Field(ge=0, le=MAX_SORT_ORDER)
    """The key with the lowest number is tried first."""
    allowed_models: tuple[str, ...] | None
    allowed_api_key_hashes: tuple[types.KeyHash, ...] | None
    allowed_user_ids: tuple[EndUser, ...] | None = Field(validation_alias="allowed_users")
    """Only requests for these end users (`safety_identifier` or `user`); null: for all."""
    declared_zdr: bool
    """Its owner declares that the provider keeps nothing."""
    declared_region: Region | None
    """As its owner declares."""
    secret_version: types.Version
    """Each new key raises it by one."""
    version: types.Version
    created_at: types.Time = Field(validation_alias="created_at_ms")
    updated_at: types.Time = Field(validation_alias="updated_at_ms")


class ByokCreated(AnswerModel):
    data: ByokObject
    test: Literal["ok", "unclear", "unreachable"] | None = None
    """The provider's answer to the test; null: no test was asked for."""


class RewrappedObject(AnswerModel):
    id: types.ByokId
    master_key_id: str


ByokAnswer = Data[ByokObject]
ByokListAnswer = Counted[ByokObject]
RewrappedAnswer = Data[RewrappedObject]


def show_credential(credential: Credential, keys: Mapping[KeyId, ApiKey]) -> ByokObject:
    allowed = credential.allowed_keys
    hashes = None if allowed is None else [keys[one].hash for one in allowed if one in keys]
    return ByokObject.of(credential, allowed_api_key_hashes=hashes)
