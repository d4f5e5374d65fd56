"""Content filters cannot be starved by the patterns of one organization, nor be stepped around."""

# ruff: noqa: RUF001  # characters that look like others are what this is about

import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from support.attacks import Attacked
from support.dock import until
from support.effort import Effort
from support.hostile import completion

CARD = "4111111111111111"
SLOW = "((a{{0,30}}){{0,30}})x{0}"
"""20 of these took 9.5 s for 16 kB."""
MAX_MS = 1500


def url(attacked: Attacked, path: str) -> str:
    return f"{attacked.dock.addresses['OPENAI_BASE_URL']}/{path}"


def post(attacked: Attacked, key: str, body: dict[str, Any]) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    return httpx.post(url(attacked, "chat/completions"), json=body, headers=headers, timeout=120)


@pytest.fixture
def guarded(attacked: Attacked) -> Iterator[tuple[str, str]]:
    """The id of a key whose policy takes out cards and addresses, and the key."""
    attacked.provider.behave("hostile", lambda _: completion())
    key_id, key = attacked.dock.make_key("guarded")
    rules = {"content_filter_builtins": [{"slug": slug, "action": "redact"} for slug in ("credit-card", "email")]}  # fmt: skip
    attacked.dock.manage("PUT", f"policies/{key_id}", rules)
    until(lambda: "x-crossdock-guard" in post(attacked, key, chat(CARD)).headers, what="the policy")
    yield key_id, key
    attacked.dock.manage("DELETE", f"keys/{key_id}")


def chat(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "hostile", "messages": [{"role": "user", "content": text}]} | more


DISGUISES = {
    "plain": CARD,
    "unseen characters": "\u200b".join(CARD),
    "wide digits": "".join(chr(ord(digit) + 0xFEE0) for digit in CARD),
    "Arabic digits": "".join(chr(0x660 + int(digit)) for digit in CARD),
    "bold digits": "".join(chr(0x1D7CE + int(digit)) for digit in CARD),
    "dashes": "4111–1111—1111‑1111",
    "spaces": "4111\u00a01111\u20091111\u30001111",
    "lines": "4111\n1111\r\n1111\n1111",
    "one digit a line": "\n".join(CARD),
    "single digits": " ".join(CARD),
    "dots": "4111.1111.1111.1111",
    "middle dots": "4111·1111·1111·1111",
    "two lines": "41111111\n11111111",
}
PLACES: dict[str, Any] = {
    "content": chat,
    "name": lambda s: {"model": "hostile", "messages": [{"role": "user", "name": s, "content": "hi"}]},
    "part": lambda s: {"model": "hostile", "messages": [{"role": "user", "content": [{"type": "text", "text": s}]}]},
    "metadata": lambda s: chat("hi", metadata={"a": s}),
    "user": lambda s: chat("hi", user=s),
    "tool": lambda s: chat("hi", tools=[{"type": "function", "function": {"name": "f", "description": s}}]),
    "arguments": lambda s: {"model": "hostile", "messages": [{"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": json.dumps({"a": s})}}]}]},
    "schema": lambda s: chat("hi", response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object", "description": s}}}),
    "stop": lambda s: chat("hi", stop=[s]),
    "split parts": lambda s: {"model": "hostile", "messages": [{"role": "user", "content": [{"type": "text", "text": s[:9]}, {"type": "text", "text": s[9:]}]}]},
    "split messages": lambda s: {"model": "hostile", "messages": [{"role": "user", "content": s[:7]}, {"role": "user", "content": s[7:]}]},
}  # fmt: skip


def digits_of(text: str) -> str:
    return "".join(char for char in text if char.isdigit())


def test_no_disguise_and_no_place_steps_around_a_filter(
    attacked: Attacked, guarded: tuple[str, str], effort: Effort
) -> None:
    _, key = guarded
    cases = [(place, disguise) for place in PLACES for disguise in DISGUISES]
    sent = len(attacked.provider.calls["hostile"])
    with attacked.unharmed(audit=False):
        for place, disguise in cases[:: effort(7, 1)]:
            answer = post(attacked, key, PLACES[place](DISGUISES[disguise]))
            assert answer.status_code in {200, 400}, (place, disguise, answer.text)
            if answer.status_code == 200:
                assert "credit-card=1" in answer.headers["x-crossdock-guard"], (place, disguise)
    for call in attacked.provider.calls["hostile"][sent:]:
        seen = call.json
        seen.pop("max_tokens", None)
        seen.pop("max_completion_tokens", None)
        assert len(digits_of(json.dumps(seen, ensure_ascii=False))) < 10, call.body


def test_expensive_patterns_are_refused_when_the_policy_is_set(attacked: Attacked) -> None:
    headers = {"authorization": f"Bearer {attacked.dock.data.owner_key()}"}
    patterns = [{"pattern": SLOW.format(n), "action": "flag"} for n in range(20)]

    answer = httpx.put(
        url(attacked, "policies/proj_default"), json={"content_filters": patterns}, headers=headers
    )

    assert answer.status_code == 400
    assert "too large together" in answer.json()["error"]["message"]


def test_one_organizations_patterns_take_no_time_of_others(
    attacked: Attacked, effort: Effort, tell: Callable[[str], None]
) -> None:
    """The most expensive policy that is accepted, with texts that are made for it, by many callers at once."""
    dock = attacked.dock
    attacked.provider.behave("hostile", lambda _: completion())
    key_id, key = dock.make_key("slow")
    patterns = [{"pattern": SLOW.format(n), "action": "flag"} for n in range(2)]
    dock.manage("PUT", f"policies/{key_id}", {"content_filters": patterns})
    _, other = dock.make_key("other")
    stop, statuses = threading.Event(), []

    def attack() -> None:
        while not stop.is_set():
            statuses.append(post(attacked, key, chat("a" * 30_000)).status_code)

    alone = _times(attacked, other, effort(10, 100))
    callers = [threading.Thread(target=attack, daemon=True) for _ in range(effort(4, 16))]
    with attacked.unharmed():
        for caller in callers:
            caller.start()
        time.sleep(1)
        beside = _times(attacked, other, effort(10, 100))
        stop.set()
        for caller in callers:
            caller.join(120)
    dock.manage("DELETE", f"keys/{key_id}")

    assert set(statuses) <= {200, 403, 429}
    medians = [statistics.median(times) for times in (alone, beside)]
    tell("others wait {:.0f} ms alone and {:.0f} ms beside the attack (median)".format(*medians))
    assert max(beside) < max(alone) + MAX_MS


def _times(attacked: Attacked, key: str, count: int) -> list[float]:
    """Return the milliseconds of requests to the API that do not reach a provider's queue."""
    found = []
    for _ in range(count):
        started = time.monotonic()
        answer = post(attacked, key, chat("hi", model="tern-mini"))
        found.append((time.monotonic() - started) * 1000)
        assert answer.status_code == 200, answer.text
    return found


def test_batches_of_others_are_validated_meanwhile(attacked: Attacked, effort: Effort) -> None:
    dock = attacked.dock
    attacked.provider.behave("hostile", lambda _: completion())
    key_id, key = dock.make_key("slow batches")
    patterns = [{"pattern": SLOW.format(n), "action": "flag"} for n in range(2)]
    dock.manage("PUT", f"policies/{key_id}", {"content_filters": patterns})
    slow = [_line(n, "a" * 20_000) for n in range(effort(8, 400))]

    with attacked.unharmed():
        hostile = [dock.submit(slow, key=key) for _ in range(effort(2, 6))]
        started = time.monotonic()
        done = dock.wait(dock.submit([_line(0, "hi")]))
        took_s = time.monotonic() - started
        ends = [dock.client_of(key).batches.cancel(one) for one in hostile if _runs(attacked, key, one)]  # fmt: skip
        for one in hostile:
            dock.wait(one)
    dock.manage("DELETE", f"keys/{key_id}")

    assert done.status == "completed"
    assert took_s < 20
    assert len(ends) <= len(hostile)


def _runs(attacked: Attacked, key: str, batch_id: str) -> bool:
    return attacked.dock.client_of(key).batches.retrieve(batch_id).status in {"validating", "in_progress"}  # fmt: skip


def _line(number: int, text: str) -> dict[str, Any]:
    return {
        "custom_id": f"{number}",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": chat(text, model="hostile"),
    }
