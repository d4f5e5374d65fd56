"""A provider in this worker: its transport, its limit of calls, its pauses and its health."""

import asyncio
import math
import time
from collections.abc import Mapping

import httpx
from prometheus_client import Counter

from crossdock.kernel.process import metrics
from crossdock.kernel.process.masking import SecretMask
from crossdock.kernel.requests.provider_keys import PLACE, GoogleKey, ProviderKey
from crossdock.provider.adapters.registry import ADAPTERS
from crossdock.provider.credentials.access_tokens import AccessTokens
from crossdock.provider.credentials.use import CallKey
from crossdock_schemas.calls.fleet import EndpointHealth
from crossdock_schemas.calls.usage import CallOutcome
from crossdock_schemas.ids import CredentialId
from crossdock_schemas.pricing.catalogue import Provider

HALF_LIFE_S = 30.0
FORGOTTEN_S = 600.0  # the health of a BYOK key without calls for so long is dropped

Door = tuple[str, CredentialId | None]
"""A model, and its BYOK key: the limits of one customer hold for no other."""


class EndpointFare:
    """Decaying error rate and latency of an endpoint."""

    def __init__(self) -> None:
        self.calls = self.errors = self.latency_ms = 0.0
        self._at = time.monotonic()
        """Time of the last call."""
        self.is_news = False

    @property
    def idle_s(self) -> float:
        return time.monotonic() - self._at

    def note(self, *, is_fault: bool, took_ms: float) -> None:
        """Count a call; `is_fault`: the provider caused a failure."""
        now = time.monotonic()
        keep = math.exp2((self._at - now) / HALF_LIFE_S)
        self._at = now
        self.calls = self.calls * keep + 1
        self.errors = self.errors * keep + is_fault
        self.latency_ms += (took_ms - self.latency_ms) / min(self.calls, 20.0)
        self.is_news = True


class ProviderSite:
    """One provider of the catalogue."""

    def __init__(
        self,
        provider: Provider,
        transport: httpx.AsyncBaseTransport,
        headers: Mapping[str, str],
        *,
        installation_key: ProviderKey | None = None,
        tokens: AccessTokens | None = None,
        mask: SecretMask | None = None,
    ) -> None:
        self.provider = provider
        self.adapter = ADAPTERS[provider.format]
        self.transport = transport
        self.slots = asyncio.Semaphore(provider.max_in_flight)
        self.installation_key = installation_key
        """The installation key, if the transport does not send it by itself."""
        self.tokens = tokens
        self.mask = mask or SecretMask(())
        """Hides the operator's secrets: the installation key, and keys in the provider's address."""
        self._headers = [("content-type", "application/json"), *headers.items()]
        self._urls: dict[tuple[str, str], httpx.URL] = {}
        self._closed_until: dict[Door, float] = {}
        self._calls: dict[CallOutcome, Counter] = {}
        self._seconds = metrics.CALL_SECONDS.labels(provider.name)
        self.fares: dict[Door, EndpointFare] = {}
        self.lacks_key = False
        """Its installation key is missing: without a BYOK key it is not called."""
        self.is_removed = False
        """The provider left the catalogue: it is not called, and its lines are routed again."""

    async def aclose(self) -> None:
        await self.transport.aclose()
        if self.tokens is not None:
            await self.tokens.aclose()

    @property
    def needs_key(self) -> bool:
        """Whether no call can be made without a key of its own: parts of the address, or all of the credentials."""
        return self.lacks_key or PLACE.search(self.provider.base_url) is not None

    async def use(self, key: ProviderKey) -> CallKey | None:
        """Return `key` as calls use it; None if it needs an access token and gets none."""
        if not isinstance(key, GoogleKey):
            return CallKey(key)
        token = None if self.tokens is None else await self.tokens.find(key)
        return None if token is None else CallKey(key, token)

    def request(
        self,
        operation: str,
        model: str,
        body: bytes,
        request_id: str,
        number: int,
        *,
        key: CallKey | None = None,
        now_s: float = 0.0,
    ) -> httpx.Request:
        """Return the HTTP request of a call. `number` differs for each call of a line, for the provider's log.

        `key` replaces the key that the transport would send. `now_s`: unix time, for signatures.

        Raises:
            KeyShapeError: if the key does not fill the provider's address.
        """
        url = self._url(operation, model, key)
        headers = [
            *self._headers,
            ("x-crossdock-request-id", request_id),
            ("x-crossdock-attempt", str(number)),
        ]
        if key is not None:
            headers += key.headers(str(url), body, now_s)
        # why a stream: for `content` httpx computes headers that the transport sets anyway, 8 us
        return httpx.Request("POST", url, headers=headers, stream=httpx.ByteStream(body))

    def _url(self, operation: str, model: str, key: CallKey | None) -> httpx.URL:
        if key is not None:
            return httpx.URL(self.adapter.url(key.base_url(self.provider), operation, model))
        url = self._urls.get((operation, model))
        if url is None:
            url = httpx.URL(self.adapter.url(self.provider.base_url, operation, model))
            self._urls[operation, model] = url
        return url

    def close_for(self, model: str, after_s: float, byok: CredentialId | None = None) -> None:
        """Pause calls of this model with this key, as the provider asked."""
        until = time.monotonic() + after_s
        self._closed_until[model, byok] = max(until, self._closed_until.get((model, byok), 0.0))

    def closed_s(self, model: str, byok: CredentialId | None = None) -> float:
        """Return the seconds until the end of a pause."""
        return max(0.0, self._closed_until.get((model, byok), 0.0) - time.monotonic())

    def note(
        self,
        model: str,
        outcome: CallOutcome,
        took_ms: float,
        *,
        is_fault: bool,
        byok: CredentialId | None = None,
    ) -> None:
        """Count a call of `model`."""
        calls = self._calls.get(outcome)
        if calls is None:
            calls = self._calls[outcome] = metrics.CALLS.labels(self.provider.name, outcome.value)
        calls.inc()
        self._seconds.observe(took_ms / 1000)
        self.fares.setdefault((model, byok), EndpointFare()).note(
            is_fault=is_fault, took_ms=took_ms
        )

    def news(self, worker: str, now_ms: int) -> list[EndpointHealth]:
        """Return the health of each model and key that was called since the last report."""
        found = []
        self._forget_idle()
        for (model, byok), fare in self.fares.items():
            if fare.is_news:
                fare.is_news = False
                closed_s = self.closed_s(model, byok)
                found.append(
                    EndpointHealth(
                        endpoint=f"{self.provider.name}/{model}",
                        worker=worker,
                        error_rate=fare.errors / fare.calls,
                        latency_ms=fare.latency_ms,
                        calls=round(fare.calls),
                        closed_until_ms=now_ms + round(closed_s * 1000) if closed_s else 0,
                        credential_id=byok,
                        at_ms=now_ms,
                    )
                )
        return found

    def _forget_idle(self) -> None:
        """Drop the health of BYOK keys that are not called any more."""
        for door, fare in list(self.fares.items()):
            _, byok = door
            if byok is not None and fare.idle_s > FORGOTTEN_S and not self.closed_s(*door):
                del self.fares[door]
                self._closed_until.pop(door, None)


def removed_site(name: str) -> ProviderSite:
    """Return the site of a provider that left the catalogue; parcels may still wait for it."""
    provider = Provider(name=name, base_url="http://removed.invalid", models=())
    site = ProviderSite(provider, httpx.MockTransport(_refuse), {})
    site.is_removed = True
    return site


def _refuse(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("the provider left the catalogue", request=request)
