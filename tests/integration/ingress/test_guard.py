"""Sensitive data in requests over HTTP: counted, taken out, or refused before anything is published."""

import json
from typing import Any

import pytest

from crossdock.ingress.openai.completions import LARGE_BYTES
from crossdock_schemas.accounts.content_filter import Action, Builtin, Detector
from crossdock_schemas.accounts.preset import Preparation
from crossdock_schemas.batches.batch import Submitted
from crossdock_schemas.topics import BATCH_COMMANDS, REQUESTS
from integration.ingress.fakes import CHAT_MODEL, EMBEDDING_MODEL, Ingress
from integration.ingress.views.test_accounts import Management, managed

CHAT = "/v1/chat/completions"
TEXT = "Write to a@b.example or c@d.example, card 4111 1111 1111 1111, staff E-123456."
CLEAN = "Write to [EMAIL] or [EMAIL], card 4111 1111 1111 1111, staff [STAFF_ID]."
STAFF = {"pattern": "E-[0-9]{6}", "action": "redact", "label": "staff-id"}


def on(slug: str, action: str) -> dict[str, Any]:
    return {"content_filter_builtins": [{"slug": slug, "action": action}]}


def chat(text: str = TEXT) -> dict[str, Any]:
    return {"model": CHAT_MODEL, "messages": [{"role": "user", "content": text}]}


def sent(ingress: Ingress) -> list[dict[str, Any]]:
    records = ingress.world.sent_to(REQUESTS.name)
    return [json.loads(record.value or b"")["body"] for record in records]


async def bind(owner: Management, **by_scope: dict[str, Any]) -> None:
    for scope, rules in by_scope.items():
        answer = await owner.ask("PUT", f"/policies/{scope}", rules)
        assert answer.status_code == 200, answer.text


async def test_policies_of_all_levels_take_out_what_they_name() -> None:
    async with managed() as (ingress, owner):
        await bind(
            owner,
            org_local=on("email", "flag"),
            proj_default=on("email", "redact"),
            key_local={"content_filters": [STAFF]} | on("credit-card", "flag"),
        )
        answer = await ingress.http.post(CHAT, json=chat())
        plain = await ingress.http.post(CHAT, json=chat("Hello"))

    assert (answer.status_code, plain.status_code) == (200, 200)
    assert answer.headers["x-crossdock-guard"] == "email=2, credit-card=1, staff-id=1"
    assert "x-crossdock-guard" not in plain.headers
    assert [body["messages"][0]["content"] for body in sent(ingress)] == [CLEAN, "Hello"]


async def test_what_is_blocked_is_refused_before_anything_is_published(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with managed() as (ingress, owner):
        await bind(owner, proj_default=on("credit-card", "block"), key_local=on("email", "flag"))
        refused = await ingress.http.post(CHAT, json=chat())
        assert ingress.world.sent_to(REQUESTS.name) == []

    error = refused.json()["error"]
    assert refused.status_code == 403
    assert (error["type"], error["code"], error["param"]) == (
        "permission_denied",
        "permission_denied",
        "messages",
    )
    assert error["metadata"] == {
        "rule": "content_filter_builtins",
        "detector": "credit-card",
        "scope": "proj_default",
        "level": "project",
    }
    assert "'credit-card'" in error["message"]
    assert refused.headers["x-crossdock-guard"] == "email=2, credit-card=1"
    said = capsys.readouterr()
    assert "request.guarded" in said.out
    assert "4111" not in refused.text + said.out + said.err


async def test_a_large_body_is_looked_at_too() -> None:
    async with managed() as (ingress, owner):
        await bind(owner, org_local=on("email", "redact"))
        answer = await ingress.http.post(CHAT, json=chat("x " * LARGE_BYTES + "a@b.example"))

    assert answer.headers["x-crossdock-guard"] == "email=1"


async def test_embeddings_are_looked_at_too() -> None:
    async with managed() as (ingress, owner):
        await bind(owner, org_local=on("email", "block"))
        body = {"model": EMBEDDING_MODEL, "input": ["a", "a@b.example"]}
        refused = await ingress.http.post("/v1/embeddings", json=body)

    assert (refused.status_code, refused.json()["error"]["param"]) == (403, "input")


async def test_a_cleared_policy_guards_nothing_any_more() -> None:
    async with managed() as (ingress, owner):
        await bind(owner, key_local=on("email", "block"))
        refused = await ingress.http.post(CHAT, json=chat())
        await owner.ask("DELETE", "/policies/key_local")
        answer = await ingress.http.post(CHAT, json=chat())

    assert (refused.status_code, answer.status_code) == (403, 200)


async def test_a_batch_keeps_what_is_looked_for_as_it_is_when_it_is_created() -> None:
    async with managed() as (ingress, owner):
        await bind(owner, key_local=on("email", "redact"))
        wish = {"input_file_id": "file-1", "endpoint": CHAT, "completion_window": "24h"}
        await ingress.http.post("/v1/batches", json=wish)
        await bind(owner, key_local={})
        (record,) = ingress.world.sent_to(BATCH_COMMANDS.name)
        path = Submitted.from_json(record.value or b"").preparation_path or ""
        kept = Preparation.from_json(await ingress.dock.objects.get(path))

    redact = Detector(name=Builtin.EMAIL.value, action=Action.REDACT, scope="key_local")
    assert kept.guard.detectors == (redact,)


@pytest.mark.parametrize(
    ("rules", "param", "said"),
    [
        ({"content_filters": [{"pattern": "(a", "action": "flag"}]}, "content_filters.0.pattern", "missing )"),
        ({"content_filters": [{"pattern": "a*", "action": "flag"}]}, "content_filters.0.pattern", "nothing"),
        ({"content_filters": [{"pattern": "a", "action": "x"}]}, "content_filters.0.action", "'flag'"),
        ({"content_filters": [{"pattern": "a", "action": "flag", "lable": "x"}]}, "content_filters.0.lable", "label"),
        ({"content_filters": "a"}, "content_filters", "an array"),
        (on("name", "flag"), "content_filter_builtins.0.slug", "'email'"),
        ({"content_filter_builtins": [{"slug": "ssn", "action": a} for a in ("flag", "block")]}, "content_filter_builtins", "once"),
        ({"content_filters": [{"pattern": f"((a{{0,30}}){{0,30}})x{n}", "action": "flag"} for n in range(20)]}, "content_filters", "too large together"),
    ],
    ids=["no pattern", "a pattern of nothing", "no action", "a typo", "no list", "no detector", "one detector twice", "patterns that are slow together"],
)  # fmt: skip
async def test_filters_that_are_not_sound_are_refused_by_name(
    rules: dict[str, Any], param: str, said: str
) -> None:
    async with managed() as (_, owner):
        refused = await owner.ask("PUT", "/policies/proj_default", rules)

    error = refused.json()["error"]
    assert (refused.status_code, error["param"]) == (400, param)
    assert said in error["message"]
