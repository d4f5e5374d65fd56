"""Provider keys in the shapes that providers issue: their required fields, and their secret parts. Pure.

The shapes are those that OpenRouter accepts. A key fills placeholders of its provider's address, such as `{region}`.
Only the operator chooses the host: a tenant's key must not make workers call addresses that only they can reach.
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
)
from typing_extensions import override

from crossdock.kernel.drivers.envelope_encryption import label_of
from crossdock.kernel.drivers.rsa import read_rsa
from crossdock_schemas.pricing.catalogue import Auth

VISIBLE = re.compile(r"[\x21-\x7e]{8,8192}")
MAX_BYTES = 16_384
GLOBAL = "global"
_HOSTS = {"openai": "openai.azure.com", "ai_foundry": "services.ai.azure.com"}

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$")]
"""Part of a host name or a path, without characters that could change the address."""


class KeyShapeError(ValueError):
    """A key does not have its provider's shape. Names the field and the rule, but never the key."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}" if field else rule)
        self.field = field
        self.rule = rule


def _visible(key: SecretStr) -> SecretStr:
    if not VISIBLE.fullmatch(key.get_secret_value()):
        raise ValueError("expected 8 to 8192 visible ASCII characters")
    return key


Sent = Annotated[SecretStr, AfterValidator(_visible)]
"""Text that is valid in a header: an HTTP client's error would quote an invalid one."""


class ProviderKey(BaseModel):
    """A parsed provider key."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    shape: ClassVar[str] = ""

    def places(self) -> dict[str, str]:
        """Return the values for placeholders of the provider's address."""
        return {}

    def secrets(self) -> tuple[str, ...]:
        """Return the secret texts."""
        raise NotImplementedError

    def label(self) -> str:
        """Return the label that owners see."""
        return label_of(SecretStr(self.secrets()[0]))


class BearerKey(ProviderKey):
    """A text that is sent unchanged. For Amazon Bedrock: an API key, which belongs to one region."""

    api_key: Sent
    region: Name | None = None

    @override
    def places(self) -> dict[str, str]:
        return {} if self.region is None else {"region": self.region}

    @override
    def secrets(self) -> tuple[str, ...]:
        return (self.api_key.get_secret_value(),)


class AzureKey(ProviderKey):
    """A key of an Azure resource. `deployments`: deployments by the model name that callers use."""

    api_key: Sent
    resource_name: Name
    resource_type: Literal["openai", "ai_foundry"] = "openai"
    deployments: dict[str, str] = Field(default_factory=dict, max_length=100)

    @override
    def places(self) -> dict[str, str]:
        host = f"{self.resource_name}.{_HOSTS[self.resource_type]}"
        return {"resource": self.resource_name, "host": host}

    @override
    def secrets(self) -> tuple[str, ...]:
        return (self.api_key.get_secret_value(),)


class AwsKey(ProviderKey):
    """An access key of AWS, and its region."""

    access_key_id: str = Field(alias="accessKeyId", pattern=r"^[A-Z0-9]{16,128}$")
    secret_access_key: SecretStr = Field(alias="secretAccessKey", min_length=16, max_length=256)
    session_token: Sent | None = Field(default=None, alias="sessionToken")
    region: Name

    @override
    def places(self) -> dict[str, str]:
        return {"region": self.region}

    @override
    def secrets(self) -> tuple[str, ...]:
        token = () if self.session_token is None else (self.session_token.get_secret_value(),)
        return (self.secret_access_key.get_secret_value(), *token)

    @override
    def label(self) -> str:
        return f"...{self.access_key_id[-4:]}"


class GoogleKey(ProviderKey):
    """A service account's key file as Google issues it, with a region beside it."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    type: Literal["service_account"]
    project_id: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$")]
    private_key_id: str | None = Field(default=None, max_length=100)
    private_key: SecretStr = Field(min_length=100, max_length=8192)
    client_email: str = Field(pattern=r"^[^@\s]{1,100}@[^@\s]{1,155}$")
    region: Name = GLOBAL

    @field_validator("private_key")
    @classmethod
    def _is_rsa(cls, text: SecretStr) -> SecretStr:
        read_rsa(text)
        return text

    @override
    def places(self) -> dict[str, str]:
        prefix = "" if self.region == GLOBAL else f"{self.region}-"
        return {"project": self.project_id, "region": self.region, "region_prefix": prefix}

    @override
    def secrets(self) -> tuple[str, ...]:
        text = self.private_key.get_secret_value()
        return (text, text.replace("\n", "\\n"), *text.split("\n")[1:-1])

    @override
    def label(self) -> str:
        return f"...{(self.private_key_id or self.client_email)[-4:]}"


def read_provider_key(auth: Auth, given: str | Mapping[str, Any]) -> ProviderKey:
    """Return the key in `given`, a text or a JSON object.

    Raises:
        KeyShapeError: if `auth` accepts no key of its shape.
    """
    if isinstance(given, str) and len(given) > MAX_BYTES:
        raise KeyShapeError("", f"Expected {MAX_BYTES} bytes at most.")
    fields = _fields(given)
    if fields is None:
        if auth not in {"bearer", "aws"}:
            raise KeyShapeError("", f"Expected {EXPECTED[auth]}.")
        try:
            return _made(BearerKey, {"api_key": given})
        except KeyShapeError as error:
            raise KeyShapeError("", error.rule) from None
    if auth == "bearer":
        raise KeyShapeError("", f"Expected {EXPECTED[auth]}.")
    if auth == "azure":
        return _made(AzureKey, fields)
    if auth == "google":
        return _made(GoogleKey, fields)
    return _made(BearerKey if "api_key" in fields else AwsKey, fields)


EXPECTED: dict[Auth, str] = {
    "bearer": "the provider's key, a text",
    "azure": "a JSON object with api_key and resource_name (resource_type, deployments)",
    "aws": "a Bedrock API key, or a JSON object with accessKeyId, secretAccessKey and region (sessionToken), "
    "or with api_key and region",
    "google": "the JSON of a service account's key file (region beside it)",
}


def _fields(given: str | Mapping[str, Any]) -> dict[str, Any] | None:
    if not isinstance(given, str):
        return dict(given)
    if not given.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(given)
    except (ValueError, RecursionError):
        raise KeyShapeError("", "Invalid JSON.") from None
    return dict(found)


def _made(shape: type[ProviderKey], fields: Mapping[str, Any]) -> ProviderKey:
    try:
        return shape.model_validate(fields)
    except ValidationError as error:
        detail = error.errors(include_input=False, include_context=False)[0]
        field = ".".join(map(str, detail["loc"]))
        raise KeyShapeError(field, f"{detail['msg']}.") from None


def sealed_text(given: str | Mapping[str, Any]) -> SecretStr:
    """Return the text to encrypt: a text unchanged, an object as compact JSON."""
    return SecretStr(given if isinstance(given, str) else json.dumps(given, separators=(",", ":")))


def address_of(template: str, key: ProviderKey | None) -> str:
    """Return a provider's address with its placeholders filled.

    Raises:
        KeyShapeError: if the key has no value for one.
    """
    places = {} if key is None else key.places()
    missing = [name for name in PLACE.findall(template) if name not in places]
    if missing:
        raise KeyShapeError(missing[0], "Required for the provider's address.")
    return PLACE.sub(lambda found: places[found[1]], template)


PLACE = re.compile(r"\{([a-z_]+)\}")
