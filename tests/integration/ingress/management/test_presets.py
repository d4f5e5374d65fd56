"""Presets over HTTP: set, shown, cleared; and what they make of requests and batches."""

import json
from typing import Any

import pytest

from crossdock_schemas.accounts.preset import Preparation
from crossdock_schemas.batches.batch import Submitted
from crossdock_schemas.topics import BATCH_COMMANDS, REQUESTS
from integration.ingress.fakes import CHAT_MODEL, OWNER_KEY, Ingress
from integration.ingress.views.test_accounts import Management, bearer, managed

WHOLE: dict[str, Any] = {
    "model": CHAT_MODEL,
    "parameters": {"temperature": 0.5, "stop": ["x"]},
    "system": "Be brief.",
    "description": "short answers",
}
CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize(
    ("scope", "level"), [("org_local", "organization"), ("proj_default", "project")]
)
async def test_a_preset_is_set_shown_and_cleared(scope: str, level: str) -> None:
    async with managed() as (_, owner):
        made = (await owner.ask("PUT", f"/presets/{scope}/brief", WHOLE)).json()["data"]
        shown = (await owner.ask("GET", f"/presets/{scope}/brief")).json()["data"]
        listed = (await owner.ask("GET", "/presets")).json()["data"]
        cleared = (await owner.ask("DELETE", f"/presets/{scope}/brief")).json()
        afterwards = await owner.ask("GET", f"/presets/{scope}/brief")
        none = (await owner.ask("GET", "/presets")).json()["data"]

    assert made == shown
    assert listed == [shown]
    assert {name: shown[name] for name in WHOLE} == WHOLE
    assert (shown["scope"], shown["level"], shown["slug"]) == (scope, level, "brief")
    assert (cleared, afterwards.status_code, none) == ({"deleted": True}, 404, [])


async def test_a_preset_is_replaced_as_a_whole_under_a_new_version() -> None:
    async with managed() as (_, owner):
        first = (await owner.ask("PUT", "/presets/org_local/brief", WHOLE)).json()["data"]
        then = (await owner.ask("PUT", "/presets/org_local/brief", {"system": None})).json()["data"]

    assert (then["model"], then["parameters"], then["system"]) == (None, {}, None)
    assert then["version"] > first["version"]


@pytest.mark.parametrize(
    ("slug", "body", "param"),
    [
        ("Brief", {}, "slug"),
        ("b-", {}, "slug"),
        ("b", {"modle": "x"}, "modle"),
        ("b", {"model": "m@preset/x"}, "model"),
        ("b", {"model": 7}, "model"),
        ("b", {"system": "x" * 32_769}, "system"),
        ("b", {"parameters": []}, "parameters"),
        ("b", {"parameters": {"messages": []}}, "parameters"),
        ("b", {"parameters": {"provider": {"onyl": ["a"]}}}, "parameters.provider.onyl"),
        ("b", {"parameters": {"models": ["a", "b"]}}, "parameters.models"),
        ("b", {"parameters": {"x": "y" * 32_768}}, "parameters"),
        ("b", {"parameters": {f"x{n}": 1 for n in range(65)}}, "parameters"),
    ],
)
async def test_what_is_no_sound_preset_is_refused_by_name(
    slug: str, body: dict[str, Any], param: str
) -> None:
    async with managed() as (_, owner):
        refused = await owner.ask("PUT", f"/presets/org_local/{slug}", body)

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    "parameters", ['{"seed":1e999}', '{"x":[{"y":-1e999}]}'], ids=["number", "within"]
)
async def test_no_preset_holds_a_number_that_json_cannot(parameters: str) -> None:
    """As a default it would make bodies of all requests that are no JSON."""
    async with managed() as (ingress, _):
        refused = await ingress.http.put(
            "/v1/presets/org_local/default",
            content=f'{{"parameters":{parameters}}}',
            headers=bearer(OWNER_KEY),
        )

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "parameters")


async def test_a_key_has_no_presets_of_its_own() -> None:
    async with managed() as (_, owner):
        refused = await owner.ask("PUT", "/presets/key_local/brief", WHOLE)

    assert refused.status_code == 404


async def ask(ingress: Ingress, body: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Send a request; return the answer's headers, and the body that went on its way."""
    answer = await ingress.http.post(CHAT, json=body)
    assert answer.status_code == 200, answer.text
    sent = ingress.world.sent_to(REQUESTS.name)[-1]
    return dict(answer.headers), json.loads(sent.value or b"")["body"]


async def set_presets(owner: Management) -> None:
    await owner.ask("PUT", "/presets/org_local/brief", WHOLE)
    await owner.ask("PUT", "/presets/proj_default/default", {"parameters": {"seed": 7}})


async def test_a_request_goes_on_its_way_as_its_preset_says() -> None:
    async with managed() as (ingress, owner):
        await set_presets(owner)
        headers, body = await ask(
            ingress, {"model": "@preset/brief", "messages": HELLO, "stop": []}
        )
        others, plain = await ask(ingress, {"model": CHAT_MODEL, "messages": HELLO})

    assert headers["x-crossdock-preset"].startswith("brief@")
    assert body == {
        "model": CHAT_MODEL,
        "messages": [{"role": "system", "content": "Be brief."}, *HELLO],
        "stop": [],
        "temperature": 0.5,
        "seed": 7,
    }
    assert "x-crossdock-preset" not in others
    assert plain == {"model": CHAT_MODEL, "messages": HELLO, "seed": 7}


async def test_an_unknown_preset_is_a_404_that_names_those_there_are() -> None:
    async with managed() as (ingress, owner):
        await set_presets(owner)
        refused = await ingress.http.post(CHAT, json={"model": "@preset/x", "messages": HELLO})

    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["param"]) == (
        404,
        "preset_not_found",
        "model",
    )
    assert "'brief', 'default'" in error["message"]


async def test_a_batch_keeps_its_presets_as_they_are_when_it_is_created() -> None:
    async with managed() as (ingress, owner):
        await set_presets(owner)
        wish = {"input_file_id": "file-1", "endpoint": CHAT, "completion_window": "24h"}
        await ingress.http.post("/v1/batches", json=wish)
        (record,) = ingress.world.sent_to(BATCH_COMMANDS.name)
        asked = Submitted.from_json(record.value or b"")
        await owner.ask("DELETE", "/presets/org_local/brief")
        kept = Preparation.from_json(await ingress.dock.objects.get(asked.preparation_path or ""))

    assert [preset.slug for preset in kept.presets] == ["brief", "default"]
    assert [preset.slug for preset in kept.defaults] == ["default"]


async def test_a_batch_without_presets_goes_through_nothing() -> None:
    async with managed() as (ingress, _):
        wish = {"input_file_id": "file-1", "endpoint": CHAT, "completion_window": "24h"}
        await ingress.http.post("/v1/batches", json=wish)
        (record,) = ingress.world.sent_to(BATCH_COMMANDS.name)

    assert Submitted.from_json(record.value or b"").preparation_path is None
