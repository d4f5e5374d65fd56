"""Tokens for service accounts: got once for many calls, signed as Google wants it, and refused without an echo."""

import asyncio
import json
from base64 import urlsafe_b64decode
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from structlog.testing import capture_logs
from typing_extensions import override

from crossdock.kernel.process.clock import ManualClock
from crossdock.kernel.requests.provider_keys import GoogleKey
from crossdock.provider.credentials import access_tokens
from crossdock.provider.credentials.access_tokens import (
    GRANT,
    LIFE_S,
    PAUSE_S,
    SCOPE,
    SPARE_S,
    AccessTokens,
)
from support.google import rsa_key, service_account

URL = "https://oauth2.googleapis.com/token"
NOW_S = 1_800_000_000


class Door(httpx.AsyncBaseTransport):
    """Gives the prepared answers, after a while."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.requests: list[httpx.Request] = []

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return httpx.Response(200, json=self.answer)


def make(answer: Any) -> tuple[AccessTokens, Door, ManualClock]:
    door, clock = Door(answer), ManualClock(NOW_S * 1000)
    return AccessTokens(door, URL, clock), door, clock


KEY = GoogleKey(**service_account())


def part_of(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found


async def test_a_token_is_exchanged_for_the_accounts_signed_word() -> None:
    found, door, _ = make({"access_token": "ya29.x", "expires_in": 3599})

    assert await found.find(KEY) == "ya29.x"

    (request,) = door.requests
    form = parse_qs(request.read().decode())
    assert (str(request.url), form["grant_type"]) == (URL, [GRANT])
    head, claims, signature = form["assertion"][0].split(".")
    assert part_of(head) == {"alg": "RS256", "typ": "JWT", "kid": KEY.private_key_id}
    assert part_of(claims) == {
        "iss": KEY.client_email,
        "scope": SCOPE,
        "aud": URL,
        "iat": NOW_S,
        "exp": NOW_S + LIFE_S,
    }
    raw = urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    rsa_key().public_key().verify(raw, f"{head}.{claims}".encode(), PKCS1v15(), SHA256())


async def test_many_calls_share_a_token_until_shortly_before_its_end() -> None:
    found, door, clock = make({"access_token": "ya29.x", "expires_in": 3600})

    await asyncio.gather(*(found.find(KEY) for _ in range(20)))
    clock.advance((3600 - SPARE_S) * 1000 - 1)
    await found.find(KEY)
    assert len(door.requests) == 1

    clock.advance(1)
    await found.find(KEY)
    assert len(door.requests) == 2


@pytest.mark.parametrize(
    "answer",
    [{"error": "invalid_grant", "error_description": "assertion: eyJhbGciOi"}, [], httpx.ConnectError("x")],
)  # fmt: skip
async def test_a_refusal_is_told_without_an_echo_and_not_asked_again_at_once(answer: Any) -> None:
    found, door, clock = make(answer)

    with capture_logs() as logs:
        said = [await found.find(KEY) for _ in range(3)]

    assert (said, len(door.requests)) == ([None] * 3, 1)
    assert [entry["event"] for entry in logs] == ["byok.token_refused"]
    assert "eyJ" not in str(logs)
    clock.advance(PAUSE_S * 1000)
    await found.find(KEY)
    assert len(door.requests) == 2


async def test_tokens_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_tokens, "MAX_TOKENS", 1)
    found, door, _ = make({"access_token": "ya29.x"})
    other = KEY.model_copy(update={"client_email": "other@acme-prod-1.iam.gserviceaccount.com"})

    for key in (KEY, other, other, KEY):
        await found.find(key)

    assert len(door.requests) == 3
