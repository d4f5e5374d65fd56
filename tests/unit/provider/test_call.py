"""A provider that quotes a key shows nothing of it: no code after the call sees it."""

import json
from base64 import b64encode
from urllib.parse import quote

import httpx
import pytest

from crossdock.kernel.process.clock import ManualClock
from crossdock.kernel.process.masking import SecretMask
from crossdock.kernel.requests.provider_keys import read_provider_key
from crossdock.provider.adapters.types import ProviderAnswer
from crossdock.provider.call import Exchange
from crossdock.provider.classify import Verdict
from crossdock.provider.credentials.use import CallKey
from unit.provider.builders import Provided, make_completion, make_parcel, make_site

INSTALLATIONS, CUSTOMERS = "inst-0123456789-abcdef/ghij", "byok-9876543210-zyxwvu+tsrq"
WRITINGS = {
    "plain": f"Bearer {INSTALLATIONS} {CUSTOMERS}",
    "base64": b64encode(f"Bearer {INSTALLATIONS} {CUSTOMERS}".encode()).decode(),
    "address": f"{quote(INSTALLATIONS, safe='')} {quote(CUSTOMERS, safe='')}",
}
PIECES = ("0123456789-abc", "9876543210-zyx", "MTIzNDU2Nzg5LW", "ODc2NTQzMjEwLX")


async def ask(answer: httpx.Response) -> tuple[ProviderAnswer | Verdict, httpx.Response]:
    site = make_site(Provided(answer))
    site.mask = SecretMask([INSTALLATIONS])
    key = CallKey(read_provider_key("bearer", CUSTOMERS))
    request = httpx.Request("POST", "http://first.test/v1/chat/completions")
    reply, response = await Exchange(make_parcel(), site, ManualClock()).ask(request, key, 10.0)
    assert response is not None
    return reply, response


@pytest.mark.parametrize("writing", WRITINGS)
@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
async def test_a_key_is_in_no_answer(writing: str, status: int) -> None:
    said = WRITINGS[writing]
    message = {"role": "assistant", "content": said}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    error = {"message": said, "type": said, "code": said, "param": said}
    value = make_completion(choices=[choice]) if status == 200 else {"error": error}
    headers = {"x-request-id": said, "retry-after": "0"}

    reply, response = await ask(httpx.Response(status, json=value, headers=headers))

    seen = f"{reply} {response.content!r} {response.headers.raw}"
    assert isinstance(reply, ProviderAnswer) == (status == 200)
    assert "[provider key]" in seen
    assert not [piece for piece in PIECES if piece in seen]
    assert response.headers["retry-after"] == "0"


async def test_words_that_are_no_error_of_theirs_show_no_key() -> None:
    reply, _ = await ask(httpx.Response(400, content=f"bad header: {INSTALLATIONS}"))

    assert isinstance(reply, Verdict)
    assert reply.message == "bad header: [provider key]"


async def test_an_answer_without_a_key_is_the_one_that_came() -> None:
    value = make_completion()

    reply, _ = await ask(httpx.Response(200, json=value))

    assert isinstance(reply, ProviderAnswer)
    assert json.loads(reply.body) == value
