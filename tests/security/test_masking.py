"""A provider that quotes the key that it was sent shows it to none: not in answers, errors, tables, files or logs."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from support.attacks import SECRET, Attacked
from support.dock import Line, until
from support.effort import Effort
from support.hostile import Behaviour, Received, Reply, completion

CUSTOMERS = "sk-customer-1f2e3d4c5b6a7988/x+y="
WRITINGS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "in base64": lambda text: b64encode(text.encode()).decode(),
    "in an address": lambda text: quote(text, safe=""),
    "in codes": lambda text: "".join(f"\\u{ord(char):04x}" for char in text),
    "in percent codes": lambda text: "".join(f"%{ord(char):02x}" for char in text),
    "in hex": lambda text: text.encode().hex(),
}
STATUSES = (200, 400, 401, 403, 422, 429, 500)


@pytest.fixture(autouse=True)
def sound(attacked: Attacked) -> Iterator[None]:
    yield
    attacked.provider.behave("hostile", lambda _: completion())


def quoting(status: int, writing: str) -> Behaviour:
    """Return a provider that quotes its caller's key in every place of an answer."""

    def answer(received: Received) -> Reply:
        said = WRITINGS[writing](received.headers["authorization"])
        if status == 200:
            body = completion("%SAID%", system_fingerprint="%SAID%").body
        else:
            error = {"message": "%SAID%", "type": "%SAID%", "code": "%SAID%", "param": "%SAID%"}
            body = json.dumps({"error": error}).encode()
        headers = (("content-type", "application/json"), ("x-request-id", said[:400]))
        return Reply(body.replace(b"%SAID%", said.encode()), status, headers)

    return answer


def fragments(secret: str) -> list[str]:
    """Return texts of which one is in every way to write the secret."""
    core = secret[-20:-4]
    coded = [b64encode(b"\0" * shift + core.encode()).decode()[4:16] for shift in range(3)]
    return [core, core.encode().hex(), *coded]


def ask(attacked: Attacked, key: str | None = None) -> str:
    """Return all that a caller sees of an answer."""
    url = attacked.dock.addresses["OPENAI_BASE_URL"]
    headers = {"authorization": f"Bearer {key or attacked.dock.data.api_key()[0]}"}
    body = {"model": "hostile", "messages": [{"role": "user", "content": "hi"}]}
    answer = httpx.post(f"{url}/chat/completions", json=body, headers=headers, timeout=60)
    shown = answer.text + json.dumps(dict(answer.headers))
    return shown + json.dumps(answer.json()) if answer.content[:1] == b"{" else shown


def assert_hidden(text: str, *secrets: str) -> None:
    shown = [part for secret in secrets for part in fragments(secret) if part in text]
    assert not shown, text[:2000]


def kept(attacked: Attacked) -> Iterator[tuple[str, str]]:
    """Yield what the installation has kept: rows of tables, its logs, its objects."""
    for table in ("attempts", "requests"):
        yield table, json.dumps(attacked.dock.rows(f"SELECT * FROM crossdock.{table}"))
    folder: Path = attacked.dock.data.path
    for part in ("logs", "objects"):
        for file in (folder / part).rglob("*"):
            if file.is_file():
                yield str(file), file.read_bytes().decode(errors="replace")


def test_the_installations_key_is_shown_nowhere(attacked: Attacked, effort: Effort) -> None:
    cases = [(status, writing) for status in STATUSES for writing in WRITINGS]
    with attacked.unharmed():
        for status, writing in cases[:: effort(3, 1)]:
            attacked.provider.behave("hostile", quoting(status, writing))
            assert_hidden(ask(attacked), SECRET)
    calls = attacked.provider.calls["hostile"]
    assert any(SECRET in call.headers["authorization"] for call in calls)
    for place, text in kept(attacked):
        assert not [part for part in fragments(SECRET) if part in text], place


def test_no_line_of_a_batch_shows_the_key(attacked: Attacked, effort: Effort) -> None:
    dock = attacked.dock
    ways = cycle([quoting(status, way) for status in (200, 400) for way in WRITINGS])

    def answer(call: Received) -> Reply:
        return next(ways)(call)

    attacked.provider.behave("hostile", answer)
    body = {"model": "hostile", "messages": [{"role": "user", "content": "hi"}]}
    wanted: list[Line] = [
        {"custom_id": f"{n}", "method": "POST", "url": "/v1/chat/completions", "body": body}
        for n in range(effort(24, 240))
    ]

    with attacked.unharmed():
        done = dock.wait(dock.submit(wanted))
    output, errors = dock.output(done)

    assert len(output) + len(errors) == len(wanted)
    assert_hidden(json.dumps([output, errors]), SECRET)
    assert "[provider key]" in json.dumps(output)
    assert "[provider key]" in json.dumps(errors)


def test_a_customers_key_is_shown_nowhere(attacked: Attacked) -> None:
    dock = attacked.dock
    made = dock.manage(
        "POST", "byok", {"provider": "hostile", "key": CUSTOMERS, "is_required": True}
    )
    try:
        until(lambda: CUSTOMERS in _sent(attacked), what="a call with the customer's key")
        with attacked.unharmed():
            for status in (200, 400, 500):
                for writing in ("plain", "in base64", "in an address"):
                    attacked.provider.behave("hostile", quoting(status, writing))
                    assert_hidden(ask(attacked), CUSTOMERS, SECRET)
    finally:
        dock.manage("DELETE", f"byok/{made['data']['id']}")
    for place, text in kept(attacked):
        assert not [part for part in fragments(CUSTOMERS) if part in text], place


def _sent(attacked: Attacked) -> str:
    attacked.provider.behave("hostile", lambda _: completion())
    ask(attacked)
    return attacked.provider.calls["hostile"][-1].headers["authorization"]


def test_the_logs_show_no_secret_of_the_installation(attacked: Attacked) -> None:
    """Its master key, the secret of its API keys, the passwords of its stores, its own API keys."""
    folder: Path = attacked.dock.data.path
    state = json.dumps(attacked.dock.data.read_state())
    names = ("api-key", "owner-key", "master-key", "key-secret", "clickhouse", "kafka-secret")
    found = [folder / name for name in names if (folder / name).is_file()]
    secrets = {word for file in found for word in file.read_text().split() if len(word) >= 16}

    assert secrets
    for file in (folder / "logs").rglob("*"):
        if file.is_file():
            text = file.read_text(errors="replace")
            assert not [secret for secret in secrets if secret in text], file
    assert SECRET not in state
