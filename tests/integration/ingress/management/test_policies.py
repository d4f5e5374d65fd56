"""Policies over HTTP, with the accounts shard's own core behind it."""

from typing import Any

import pytest

from integration.ingress.views.test_accounts import Management, managed

WHOLE: dict[str, Any] = {
    "allowed_models": ["atlas-*"],
    "ignored_models": ["*-large"],
    "allowed_providers": ["atlas"],
    "ignored_providers": ["borealis"],
    "max_price": {"prompt": "0.5", "completion": "2", "request": "0.01"},
    "data_collection": "deny",
    "zdr": True,
    "allowed_data_regions": ["europe"],
    "quantizations": ["fp8", "bf16"],
    "max_tokens": 4096,
    "tools": "deny",
    "content_filter_builtins": [{"slug": "email", "action": "redact"}],
    "content_filters": [
        {"pattern": "E-[0-9]+", "action": "flag", "label": "staff"},
        {"pattern": "x", "action": "block", "label": None},
    ],
}


@pytest.mark.parametrize(
    ("scope", "level"),
    [("org_local", "organization"), ("proj_default", "project"), ("key_local", "key")],
)
async def test_a_policy_is_set_shown_and_cleared(scope: str, level: str) -> None:
    async with managed() as (_, owner):
        made = (await owner.ask("PUT", f"/policies/{scope}", WHOLE)).json()["data"]
        shown = (await owner.ask("GET", f"/policies/{scope}")).json()["data"]
        listed = (await owner.ask("GET", "/policies")).json()["data"]
        cleared = (await owner.ask("DELETE", f"/policies/{scope}")).json()
        afterwards = await owner.ask("GET", f"/policies/{scope}")

    assert made == shown
    assert listed == [shown]
    assert {name: shown[name] for name in WHOLE} == WHOLE
    assert (shown["scope"], shown["level"], shown["organization_id"]) == (scope, level, "org_local")
    assert (cleared, afterwards.status_code) == ({"deleted": True}, 404)


async def test_what_is_not_given_demands_nothing_any_more() -> None:
    async with managed() as (_, owner):
        await owner.ask("PUT", "/policies/proj_default", WHOLE)
        shown = (await owner.ask("PUT", "/policies/proj_default", {"max_price": None})).json()["data"]  # fmt: skip

    assert (shown["allowed_models"], shown["ignored_models"]) == (None, [])
    assert shown["max_price"] == {"prompt": None, "completion": None, "request": None}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"allowed_model": ["a"]}, "allowed_model"),
        ({"allowed_models": "a"}, "allowed_models"),
        ({"ignored_models": ["a b"]}, "ignored_models.0"),
        ({"max_tokens": "4096"}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"tools": "allow"}, "tools"),
        ({"max_price": 1}, "max_price"),
        ({"max_price": False}, "max_price"),
        ({"max_price": {"prompt": -1}}, "max_price.prompt"),
        ({"max_price": {"completion": "dear"}}, "max_price.completion"),
        ({"max_price": {"image": 1}}, "max_price.image"),
        ({"data_collection": "never"}, "data_collection"),
        ({"zdr": "maybe"}, "zdr"),
        ({"allowed_data_regions": ["mars"]}, "allowed_data_regions.0"),
    ],
    ids=[
        *(
            "typo",
            "no list",
            "space",
            "a text",
            "a boolean for a number",
            "no denial",
            "no object",
            "a boolean",
            "negative",
            "no number",
            "unknown price",
        ),
        *("no choice", "no flag", "no region"),
    ],
)
async def test_rules_that_are_not_sound_are_refused_by_name(
    body: dict[str, Any], param: str
) -> None:
    async with managed() as (_, owner):
        response = await owner.ask("PUT", "/policies/proj_default", body)

    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


async def test_a_member_sees_the_policies_that_bind_its_project() -> None:
    async with managed() as (_, owner):
        project = (await owner.ask("POST", "/projects", {"name": "staging"})).json()["data"]["id"]
        member = await owner.make_key(role="member", project_id=project)
        for scope in ("org_local", "proj_default", project):
            await owner.ask("PUT", f"/policies/{scope}", {})
        view = Management(owner.ingress, member["key"])

        seen = {policy["scope"] for policy in (await view.ask("GET", "/policies")).json()["data"]}
        others = await view.ask("GET", "/policies/proj_default")
        denied = await view.ask("PUT", f"/policies/{project}", {})

    assert seen == {"org_local", project}
    assert (others.status_code, denied.status_code) == (404, 403)
