"""A provider as this worker sees it: its door, how many calls fit, whether it asked for a pause, how it fares."""

import asyncio
import math
import time
from collections.abc import Mapping

import httpx
from prometheus_client import Counter

from crossdock.kernel import metrics
from crossdock_schemas.catalogue import Provider
from crossdock_schemas.fleet import EndpointHealth
from crossdock_schemas.usage import CallOutcome

HALF_LIFE_S = 30.0


class Fare:
    """Decaying error rate and latency of one endpoint."""

    def __init__(self) -> None:
        self.calls = self.errors = self.latency_ms = 0.0
        self._at = time.monotonic()
        self.is_news = False

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
        self, provider: Provider, transport: httpx.AsyncBaseTransport, headers: Mapping[str, str]
    ) -> None:
        self.provider = provider
        self.transport = transport
        self.slots = asyncio.Semaphore(provider.max_in_flight)
        self._headers = [("content-type", "application/json"), *headers.items()]
        self._urls: dict[str, httpx.URL] = {}
        self._closed_until: dict[str, float] = {}
        self._calls: dict[CallOutcome, Counter] = {}
        self._seconds = metrics.CALL_SECONDS.labels(provider.name)
        self.fares: dict[str, Fare] = {}

    def request(self, operation: str, body: bytes, request_id: str, number: int) -> httpx.Request:
        """Return the call; `number` tells a request's calls apart for the provider's own log."""
        url = self._urls.get(operation)
        if url is None:
            path = operation.removeprefix("/v1")
            url = self._urls[operation] = httpx.URL(self.provider.base_url.rstrip("/") + path)
        headers = [
            *self._headers,
            ("x-crossdock-request-id", request_id),
            ("x-crossdock-attempt", str(number)),
        ]
        # why a stream: `content` makes httpx work out headers that the door sets anyway, 8 us
        return httpx.Request("POST", url, headers=headers, stream=httpx.ByteStream(body))

    def close_for(self, model: str, after_s: float) -> None:
        """The provider asked for a pause of this model."""
        until = time.monotonic() + after_s
        self._closed_until[model] = max(until, self._closed_until.get(model, 0.0))

    def closed_s(self, model: str) -> float:
        """Return the seconds until calls are welcome again."""
        return max(0.0, self._closed_until.get(model, 0.0) - time.monotonic())

    def note(self, model: str, outcome: CallOutcome, took_ms: float, *, is_fault: bool) -> None:
        """Count a call of `model`."""
        calls = self._calls.get(outcome)
        if calls is None:
            calls = self._calls[outcome] = metrics.CALLS.labels(self.provider.name, outcome.value)
        calls.inc()
        self._seconds.observe(took_ms / 1000)
        self.fares.setdefault(model, Fare()).note(is_fault=is_fault, took_ms=took_ms)

    def news(self, worker: str, now_ms: int) -> list[EndpointHealth]:
        """Return the health of the models called since the last time."""
        found = []
        for model, fare in self.fares.items():
            if fare.is_news:
                fare.is_news = False
                closed_s = self.closed_s(model)
                found.append(
                    EndpointHealth(
                        endpoint=f"{self.provider.name}/{model}",
                        worker=worker,
                        error_rate=fare.errors / fare.calls,
                        latency_ms=fare.latency_ms,
                        calls=round(fare.calls),
                        closed_until_ms=now_ms + round(closed_s * 1000) if closed_s else 0,
                        at_ms=now_ms,
                    )
                )
        return found
