"""Access tokens of service accounts: a signed assertion is exchanged for a token that lasts an hour (RFC 7523)."""

import asyncio
import json
from base64 import urlsafe_b64encode
from typing import NamedTuple
from urllib.parse import urlencode

import httpx
import structlog
from pydantic_core import from_json

from crossdock.kernel.drivers.rsa import sign_rs256
from crossdock.kernel.process.clock import Clock
from crossdock.kernel.requests.provider_keys import GoogleKey

log: structlog.stdlib.BoundLogger = structlog.get_logger()

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFE_S = 3600
SPARE_S = 300  # a token is not used in its last minutes: a call may take a while
PAUSE_S = 10  # after a refusal
MAX_TOKENS = 1000


class Token(NamedTuple):
    text: str | None
    """None: the exchange failed."""
    until_s: float
    """Unix time of its last use."""


class AccessTokens:
    """The access tokens for the keys of one provider. In memory only."""

    def __init__(self, door: httpx.AsyncBaseTransport, url: str, clock: Clock) -> None:
        self._door = door
        self._url = url
        self._clock = clock
        self._tokens: dict[tuple[str, str], Token] = {}
        self._lock = asyncio.Lock()

    async def find(self, key: GoogleKey) -> str | None:
        """Return a token for `key`; None if the exchange failed a moment ago."""
        place = (key.client_email, key.private_key.get_secret_value())
        token = self._tokens.get(place)
        if token is None or token.until_s <= self._now_s:
            async with self._lock:  # many calls may need it at once
                token = self._tokens.get(place)
                if token is None or token.until_s <= self._now_s:
                    token = await self._exchange(key)
                    if len(self._tokens) >= MAX_TOKENS:
                        self._tokens.clear()
                    self._tokens[place] = token
        return token.text

    async def aclose(self) -> None:
        await self._door.aclose()

    @property
    def _now_s(self) -> float:
        return self._clock.now_ms() / 1000

    async def _exchange(self, key: GoogleKey) -> Token:
        form = {"grant_type": GRANT, "assertion": assertion(key, self._url, int(self._now_s))}
        headers = [("content-type", "application/x-www-form-urlencoded")]
        stream = httpx.ByteStream(urlencode(form).encode())
        request = httpx.Request("POST", self._url, headers=headers, stream=stream)
        try:
            response = await self._door.handle_async_request(request)
            if not response.is_closed:
                await response.aread()
        except httpx.TransportError as error:
            return self._refused(type(error).__name__)
        return self._read(response)

    def _read(self, response: httpx.Response) -> Token:
        try:
            fields = from_json(response.content)
            text, life_s = str(fields["access_token"]), int(fields.get("expires_in", LIFE_S))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            return self._refused(f"status {response.status_code}")
        return Token(text, self._now_s + max(PAUSE_S, life_s - SPARE_S))

    def _refused(self, reason: str) -> Token:
        """Pause the exchange. The response is not logged: it may quote the assertion."""
        log.warning("byok.token_refused", reason=reason)
        return Token(None, self._now_s + PAUSE_S)


def assertion(key: GoogleKey, audience: str, now_s: int) -> str:
    """Return the service account's signed assertion (a JWT, RS256), valid for an hour."""
    header = {"alg": "RS256", "typ": "JWT", "kid": key.private_key_id}
    claims = {
        "iss": key.client_email,
        "scope": SCOPE,
        "aud": audience,
        "iat": now_s,
        "exp": now_s + LIFE_S,
    }
    text = ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
    return f"{text}.{_encoded(sign_rs256(key.private_key, text.encode()))}"


def _encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
