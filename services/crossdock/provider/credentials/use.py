"""A provider key as calls use it: the address, the headers, and what an answer must not repeat. Pure."""

from dataclasses import dataclass
from functools import lru_cache

from pydantic_core import from_json, to_json

from crossdock.kernel.process.masking import SecretMask
from crossdock.kernel.requests.provider_keys import (
    AwsKey,
    AzureKey,
    BearerKey,
    ProviderKey,
    address_of,
)
from crossdock.provider.credentials.sigv4 import Header, sign
from crossdock_schemas.pricing.catalogue import Provider

MAX_MASKS = 256


@dataclass(frozen=True)
class CallKey:
    """A key, with its access token where the provider needs one."""

    key: ProviderKey
    token: str | None = None

    def base_url(self, provider: Provider) -> str:
        """Return the provider's base URL with the parts that this key holds.

        Raises:
            KeyShapeError: if the key does not fill the address.
        """
        return address_of(provider.base_url, self.key)

    def body(self, body: bytes, model: str) -> bytes:
        """Return the body for `model`, the callers' name; Azure is sent the name of a deployment instead."""
        deployment = self.key.deployments.get(model) if isinstance(self.key, AzureKey) else None
        if deployment is None:
            return body
        return to_json(from_json(body) | {"model": deployment})

    def headers(self, url: str, body: bytes, now_s: float) -> list[Header]:
        """Return the headers that authorise a POST."""
        key = self.key
        if self.token is not None:
            return [("authorization", f"Bearer {self.token}")]
        if isinstance(key, AzureKey):
            return [("api-key", key.api_key.get_secret_value())]
        if isinstance(key, AwsKey):
            return sign(key, "POST", url, [("content-type", "application/json")], body, now_s)
        if isinstance(key, BearerKey):
            return [("authorization", f"Bearer {key.api_key.get_secret_value()}")]
        raise TypeError("a service account needs an access token")

    @property
    def mask(self) -> SecretMask:
        """Hides the key and its token in answers: a provider may quote them."""
        return _mask_of((*self.key.secrets(), self.token or ""))


@lru_cache(maxsize=MAX_MASKS)
def _mask_of(secrets: tuple[str, ...]) -> SecretMask:
    """Return the mask of a key. A key is read again for each call, and its mask takes 40 us."""
    return SecretMask(secrets)
