"""A provider's key in use: where it calls, what it sends along, what it hides in answers. Pure."""

from dataclasses import dataclass
from functools import cached_property

import httpx
from pydantic_core import from_json, to_json

from crossdock.kernel.requests.provider_keys import (
    MIN_MASKED,
    AwsKey,
    AzureKey,
    BearerKey,
    ProviderKey,
    address_of,
)
from crossdock.provider.credentials.sigv4 import Header, sign
from crossdock_schemas.pricing.catalogue import Provider

HIDDEN = b"[own provider key]"


@dataclass(frozen=True)
class KeyInUse:
    """A key, and the token that was got for it where its provider wants one."""

    key: ProviderKey
    token: str | None = None

    def url(self, provider: Provider, operation: str) -> httpx.URL:
        """Return where calls go.

        Raises:
            KeyShapeError: if the key leaves a place of the provider's address empty.
        """
        address = address_of(provider.base_url, self.key)
        return httpx.URL(address.rstrip("/") + operation.removeprefix("/v1"))

    def body(self, body: bytes, model: str) -> bytes:
        """Return what is sent for `model`, our callers' name: at Azure a deployment's name stands in its place."""
        deployment = self.key.deployments.get(model) if isinstance(self.key, AzureKey) else None
        if deployment is None:
            return body
        return to_json(from_json(body) | {"model": deployment})

    def headers(self, url: str, body: bytes, now_s: float) -> list[Header]:
        """Return what authorises a POST."""
        key = self.key
        if self.token is not None:
            return [("authorization", f"Bearer {self.token}")]
        if isinstance(key, AzureKey):
            return [("api-key", key.api_key.get_secret_value())]
        if isinstance(key, AwsKey):
            return sign(key, "POST", url, [("content-type", "application/json")], body, now_s)
        if isinstance(key, BearerKey):
            return [("authorization", f"Bearer {key.api_key.get_secret_value()}")]
        raise TypeError("a service account calls with a token")

    def without(self, content: bytes) -> bytes:
        """Return an answer in which the key is not said again: a provider may quote it."""
        for secret in self._hidden:
            if secret in content:
                content = content.replace(secret, HIDDEN)
        return content

    @cached_property
    def _hidden(self) -> tuple[bytes, ...]:
        texts = (*self.key.secrets(), self.token or "")
        return tuple(text.encode() for text in texts if len(text) >= MIN_MASKED)
