"""A provider as this worker sees it: its door, how many calls fit, whether it asked for a pause, how it fares."""

import asyncio
import math
import time
from collections.abc import Mapping

import httpx
from prometheus_client import Counter

from crossdock.kernel.process import metrics
from crossdock.kernel.requests.provider_keys import PLACE, GoogleKey, ProviderKey
from crossdock.provider.adapters.registry import ADAPTERS
from crossdock.provider.credentials.access_tokens import Tokens
from crossdock.provider.credentials.use import CallKey
from crossdock_schemas.calls.fleet import EndpointHealth
from crossdock_schemas.calls.usage import CallOutcome
from crossdock_schemas.ids import CredentialId
from crossdock_schemas.pricing.catalogue import Provider

HALF_LIFE_S = 30.0
FORGOTTEN_S = (
    600.0  # an own key that was not called for so long; its health is of no weight any more
)

Door = tuple[str, CredentialId | None]
"""A model, and the own key that it is called with: one customer's limits are nobody else's."""


class EndpointFare:
    """Decaying error rate and latency of one endpoint."""

    def __init__(self) -> None:
        self.calls = self.errors = self.latency_ms = 0.0
        self._at = time.monotonic()
        """Of the last call."""
        self.is_news = False

    @property
    def idle_s(self) -> float:
        return time.monotonic() - self._at

    def note(self, *, is_fault: bool, took_ms: float) -> None:
        """Count a call; `is_fault` if the provider is to blame."""
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
        installed: ProviderKey | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        self.provider = provider
        self.adapter = ADAPTERS[provider.format]
        self.transport = transport
        self.slots = asyncio.Semaphore(provider.max_in_flight)
        self.installed = installed
        """The installation's key, where the transport does not send it by itself."""
        self.tokens = tokens
        self._headers = [("content-type", "application/json"), *headers.items()]
        self._urls: dict[tuple[str, str], httpx.URL] = {}
        self._closed_until: dict[Door, float] = {}
        self._calls: dict[CallOutcome, Counter] = {}
        self._seconds = metrics.CALL_SECONDS.labels(provider.name)
        self.fares: dict[Door, EndpointFare] = {}

    async def aclose(self) -> None:
        await self.transport.aclose()
        if self.tokens is not None:
            await self.tokens.aclose()

    @property
    def needs_key(self) -> bool:
        """Whether there is no address without a key that fills its places."""
        return PLACE.search(self.provider.base_url) is not None

    async def use(self, key: ProviderKey) -> CallKey | None:
        """Return `key` as calls need it; None if its token is not to be had."""
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
        """Return the call; `number` tells a request's calls apart for the provider's own log.

        A `key` goes in the place of the one that the transport would send. `now_s`: unix time, for what is signed.

        Raises:
            KeyShapeError: if the key leaves a place of the provider's address empty.
        """
        url = self._url(operation, model, key)
        headers = [
            *self._headers,
            ("x-crossdock-request-id", request_id),
            ("x-crossdock-attempt", str(number)),
        ]
        if key is not None:
            headers += key.headers(str(url), body, now_s)
        # why a stream: `content` makes httpx work out headers that the door sets anyway, 8 us
        return httpx.Request("POST", url, headers=headers, stream=httpx.ByteStream(body))

    def _url(self, operation: str, model: str, key: CallKey | None) -> httpx.URL:
        if key is not None:
            return httpx.URL(self.adapter.url(key.base_url(self.provider), operation, model))
        url = self._urls.get((operation, model))
        if url is None:
            url = httpx.URL(self.adapter.url(self.provider.base_url, operation, model))
            self._urls[operation, model] = url
        return url

    def close_for(self, model: str, after_s: float, own: CredentialId | None = None) -> None:
        """The provider asked for a pause of this model, from those who call it with this key."""
        until = time.monotonic() + after_s
        self._closed_until[model, own] = max(until, self._closed_until.get((model, own), 0.0))

    def closed_s(self, model: str, own: CredentialId | None = None) -> float:
        """Return the seconds until calls are welcome again."""
        return max(0.0, self._closed_until.get((model, own), 0.0) - time.monotonic())

    def note(  # what, with which key, how it went
        self,
        model: str,
        outcome: CallOutcome,
        took_ms: float,
        *,
        is_fault: bool,
        own: CredentialId | None = None,
    ) -> None:
        """Count a call of `model`."""
        calls = self._calls.get(outcome)
        if calls is None:
            calls = self._calls[outcome] = metrics.CALLS.labels(self.provider.name, outcome.value)
        calls.inc()
        self._seconds.observe(took_ms / 1000)
        self.fares.setdefault((model, own), EndpointFare()).note(is_fault=is_fault, took_ms=took_ms)

    def news(self, worker: str, now_ms: int) -> list[EndpointHealth]:
        """Return the health of the models called since the last time, with each key that called them."""
        found = []
        self._forget_idle()
        for (model, own), fare in self.fares.items():
            if fare.is_news:
                fare.is_news = False
                closed_s = self.closed_s(model, own)
                found.append(
                    EndpointHealth(
                        endpoint=f"{self.provider.name}/{model}",
                        worker=worker,
                        error_rate=fare.errors / fare.calls,
                        latency_ms=fare.latency_ms,
                        calls=round(fare.calls),
                        closed_until_ms=now_ms + round(closed_s * 1000) if closed_s else 0,
                        credential_id=own,
                        at_ms=now_ms,
                    )
                )
        return found

    def _forget_idle(self) -> None:
        """Own keys come and go: let go of those that nobody calls any more."""
        for door, fare in list(self.fares.items()):
            _, own = door
            if own is not None and fare.idle_s > FORGOTTEN_S and not self.closed_s(*door):
                del self.fares[door]
                self._closed_until.pop(door, None)
