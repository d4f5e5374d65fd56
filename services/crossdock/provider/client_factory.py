"""Opens the providers of the catalogue: their transports and installation keys."""

from collections.abc import Mapping

import httpx

from crossdock.kernel.drivers.http import open_transport
from crossdock.kernel.process.clock import Clock
from crossdock.kernel.process.errors import SettingsError
from crossdock.kernel.process.logs import LOG_SECRETS
from crossdock.kernel.process.masking import SecretMask, secrets_of_url
from crossdock.kernel.requests.provider_keys import (
    KeyShapeError,
    ProviderKey,
    address_of,
    read_provider_key,
)
from crossdock.provider.client import ProviderSite
from crossdock.provider.credentials.access_tokens import AccessTokens
from crossdock.provider.credentials.use import CallKey
from crossdock_schemas.pricing.catalogue import Provider


def open_site(provider: Provider, environ: Mapping[str, str], clock: Clock) -> ProviderSite:
    """Open a provider with the key in its environment variable.

    Raises:
        SettingsError: if the variable is not set, or its key has the wrong shape.
    """
    installation_key = _installation_key(provider, environ)
    secrets = [*secrets_of_url(provider.base_url), *secrets_of_url(provider.token_url)]
    secrets += () if installation_key is None else installation_key.secrets()
    LOG_SECRETS.add(secrets)
    mask = SecretMask(secrets)
    tokens = None
    if provider.auth == "google":
        tokens = AccessTokens(_open_transport(provider, {}), provider.token_url, clock)
    if installation_key is None or provider.auth != "bearer":
        door = _open_transport(provider, {})
        return ProviderSite(
            provider, door, {}, installation_key=installation_key, tokens=tokens, mask=mask
        )
    # why in the transport: the key is the same for all calls, and stays out of every request
    headers = dict(CallKey(installation_key).headers("", b"", 0.0))
    return ProviderSite(provider, _open_transport(provider, headers), {}, mask=mask)


def keyless_site(provider: Provider) -> ProviderSite:
    """Return the site of a provider whose installation key is missing: only BYOK keys can call it."""
    site = ProviderSite(provider, _open_transport(provider, {}), {})
    site.lacks_key = True
    return site


def _installation_key(provider: Provider, environ: Mapping[str, str]) -> ProviderKey | None:
    name = provider.api_key_env
    if name is None:
        return None
    text = environ.get(name, "").strip()
    if not text:
        raise SettingsError(f"{name}: not set; set the key of provider {provider.name!r}")
    try:
        key = read_provider_key(provider.auth, text)
        address_of(provider.base_url, key)
    except KeyShapeError as error:
        raise SettingsError(f"{name}: {error}") from None
    return key


def _open_transport(provider: Provider, headers: Mapping[str, str]) -> httpx.AsyncBaseTransport:
    return open_transport(
        connect_timeout_s=provider.connect_timeout_s,
        read_timeout_s=provider.read_timeout_s,
        call_timeout_s=provider.call_timeout_s,
        max_connections=provider.max_in_flight,
        headers=headers,
    )
