"""PATCH keeps what it is not told to change, PUT replaces the whole: policies, presets, budgets."""

import asyncio
from typing import Any

from integration.ingress.views.test_accounts import managed

Json = dict[str, Any]


async def test_a_rule_that_is_not_sent_stays_and_one_that_is_null_ends() -> None:
    """Kind 10 of issue 16: a filter that was set undid the provider that was ignored."""
    async with managed() as (_, owner):
        path = "/policies/proj_default"
        first = await owner.ask("PATCH", path, {"ignored_providers": ["cinder"], "max_price": {"prompt": 1, "completion": 2}})  # fmt: skip
        both = (await owner.ask("PATCH", path, {"zdr": True, "max_price": {"prompt": None}})).json()
        lifted = (await owner.ask("PATCH", path, {"ignored_providers": None})).json()["data"]
        whole = (await owner.ask("PUT", path, {"tools": "deny"})).json()["data"]

    kept = both["data"]
    assert first.status_code == 200
    assert (kept["ignored_providers"], kept["zdr"]) == (["cinder"], True)
    assert kept["max_price"] == {"prompt": None, "completion": "2", "request": None}
    assert (lifted["ignored_providers"], lifted["zdr"]) == ([], True)
    assert (whole["zdr"], whole["tools"]) == (False, "deny")


async def test_two_changes_at_once_both_stay() -> None:
    async with managed() as (_, owner):
        path = "/policies/org_local"
        bodies: list[Json] = [{"zdr": True}, {"tools": "deny"}, {"max_tokens": 5}]
        await asyncio.gather(*(owner.ask("PATCH", path, body) for body in bodies))
        found = (await owner.ask("GET", path)).json()["data"]

    assert (found["zdr"], found["tools"], found["max_tokens"]) == (True, "deny", 5)


async def test_settings_and_parameters_that_are_not_sent_stay() -> None:
    async with managed() as (_, owner):
        path = "/presets/org_local/brief"
        await owner.ask("PATCH", path, {"model": "tern", "parameters": {"temperature": 0, "top_p": 1}})  # fmt: skip
        changed = await owner.ask("PATCH", path, {"system": "Be kind.", "parameters": {"top_p": None, "seed": 1}})  # fmt: skip
        emptied = (await owner.ask("PATCH", path, {"model": None})).json()["data"]
        many = {"parameters": {f"p{n}": n for n in range(64)}}
        full = await owner.ask("PATCH", path, many)
        whole = (await owner.ask("PUT", path, {"model": "gull"})).json()["data"]

    found = changed.json()["data"]
    assert (found["model"], found["system"]) == ("tern", "Be kind.")
    assert found["parameters"] == {"temperature": 0, "seed": 1}
    assert (emptied["model"], emptied["system"]) == (None, "Be kind.")
    assert full.status_code == 400
    assert (whole["system"], whole["parameters"]) == (None, {})


async def test_fields_of_a_budget_that_are_not_sent_stay() -> None:
    async with managed() as (_, owner):
        path = "/budgets/key_local/daily"
        none = await owner.ask("PATCH", path, {"overshoot_usd": 1})
        await owner.ask("PUT", path, {"limit_usd": 5, "include_byok": True, "overshoot_usd": 1})
        raised = (await owner.ask("PATCH", path, {"limit_usd": 7})).json()["data"]
        strict = (await owner.ask("PATCH", path, {"overshoot_usd": 0})).json()["data"]
        whole = (await owner.ask("PUT", path, {"limit_usd": 7})).json()["data"]

    assert (none.status_code, none.json()["error"]["param"]) == (400, "limit_usd")
    assert (raised["limit_usd"], raised["include_byok"], raised["overshoot_usd"]) == ("7", True, "1")  # fmt: skip
    assert (strict["limit_usd"], strict["include_byok"], strict["overshoot_usd"]) == ("7", True, "0")  # fmt: skip
    assert whole["include_byok"] is False
