"""Budgets and keys' limits over HTTP, with the accounts shard's own core behind it."""

from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from crossdock_schemas.accounts.control import account_command
from crossdock_schemas.accounts.journal import MarkSpend, Spend
from crossdock_schemas.ids import KeyId, ProjectId
from crossdock_schemas.topics import ACCOUNT_COMMANDS
from integration.ingress.fakes import API_KEY, Ingress
from integration.ingress.views.test_accounts import Management, managed, other_organization
from support.accounts import LOCAL

Json = dict[str, Any]


async def set_budget(owner: Management, scope: str, window: str, usd: object) -> Json:
    response = await owner.ask("PUT", f"/budgets/{scope}/{window}", {"limit_usd": usd})
    assert response.status_code == 200, response.text
    made: Json = response.json()["data"]
    return made


async def budgets_of(owner: Management, scope: str) -> dict[str, str]:
    """Return a scope's limits by their windows."""
    found = (await owner.ask("GET", f"/budgets/{scope}")).json()["data"]
    return {budget["window"]: budget["limit_usd"] for budget in found}


def spend(ingress: Ingress, key_id: str = "key_local", **amounts: str) -> None:
    """Let the directory show what a key has spent and holds."""
    told = Spend(
        account=LOCAL.account,
        project=ProjectId(LOCAL.project),
        key_id=KeyId(key_id),
        at_ms=ingress.clock.now_ms(),
        **{name: Decimal(usd) for name, usd in amounts.items()},
    )
    ingress.world.show_entity(f"spend_{key_id}", told)


def asked(ingress: Ingress) -> list[str]:
    """Return what the accounts shard was asked to do, in order."""
    sent = ingress.world.sent_to(ACCOUNT_COMMANDS.name)
    return [account_command.validate_json(message.value or b"").do for message in sent]


@pytest.mark.parametrize(
    ("scope", "level"),
    [("org_local", "organization"), ("proj_default", "project"), ("key_local", "key")],
)
async def test_a_budget_is_set_shown_and_cleared(scope: str, level: str) -> None:
    async with managed() as (_, owner):
        made = await set_budget(owner, scope, "daily", "12.50")
        shown = (await owner.ask("GET", f"/budgets/{scope}")).json()["data"]
        listed = (await owner.ask("GET", "/budgets")).json()["data"]
        cleared = (await owner.ask("DELETE", f"/budgets/{scope}/daily")).json()
        again = await owner.ask("DELETE", f"/budgets/{scope}/daily")
        afterwards = await budgets_of(owner, scope)

    assert shown == listed == [made]
    assert (made["scope"], made["level"], made["organization_id"]) == (scope, level, "org_local")
    assert [made[name] for name in ("limit_usd", "spend_usd", "held_usd", "remaining_usd")] == [
        "12.5",
        "0",
        "0",
        "12.5",
    ]
    assert made["resets_at"].endswith("T00:00:00Z")
    assert (cleared, again.status_code, afterwards) == ({"deleted": True}, 404, {})


@pytest.mark.parametrize(
    ("scope", "level"),
    [
        ("user:alice", "user"),
        ("user:a/b daily/c?x#y%2F=ä", "user"),
        ("user:a/total", "user"),
        ("tag:team=search", "tag"),
        ("tag:100%25 %3D=a/b=c", "tag"),
        ("tag:empty=", "tag"),
    ],
)
async def test_an_end_user_and_a_tag_have_budgets_whatever_they_are_called(
    scope: str, level: str
) -> None:
    address = quote(scope, safe="")
    async with managed() as (ingress, owner):
        made = await set_budget(owner, address, "daily", "12.50")
        told = MarkSpend(
            account=LOCAL.account,
            scope=scope,
            at_ms=ingress.clock.now_ms(),
            day_usd=Decimal(2),
            held_day_usd=Decimal("0.5"),
        )
        foreign = told.model_copy(update={"account": "org_other", "day_usd": Decimal(9)})
        for one in (told, foreign):
            ingress.world.show_entity(f"marked_{scope}@{one.account}", one)
        shown = (await owner.ask("GET", f"/budgets/{address}")).json()["data"]
        listed = (await owner.ask("GET", "/budgets")).json()["data"]
        cleared = (await owner.ask("DELETE", f"/budgets/{address}/daily")).json()
        again = await owner.ask("DELETE", f"/budgets/{address}/daily")

    assert (made["scope"], made["level"], made["spend_usd"]) == (scope, level, "0")
    assert shown == listed
    fields = ("scope", "spend_usd", "held_usd", "remaining_usd")
    assert [shown[0][name] for name in fields] == [scope, "2", "0.5", "10"]
    assert (cleared, again.status_code) == ({"deleted": True}, 404)


async def test_end_users_are_an_organizations_own_and_no_members() -> None:
    async with managed() as (ingress, owner):
        await set_budget(owner, "user:alice", "daily", 1)
        _, foreign = await other_organization(owner)
        stranger = Management(ingress, foreign)
        made = await set_budget(stranger, "user:alice", "daily", 2)
        member = Management(ingress, (await owner.make_key(role="member"))["key"])
        seen = [
            (await one.ask("GET", "/budgets")).json()["data"] for one in (owner, stranger, member)
        ]
        hidden = [
            await member.ask("GET", "/budgets/user:alice"),
            await member.ask("PUT", "/budgets/user:alice/daily", {"limit_usd": 9}),
            await owner.ask("GET", "/budgets/user:"),
            await owner.ask("PUT", "/policies/user:alice", {}),
        ]

    assert made["limit_usd"] == "2"
    assert [[b["limit_usd"] for b in budgets] for budgets in seen] == [["1"], ["2"], []]
    assert [response.status_code for response in hidden] == [404] * 4


async def test_windows_stand_side_by_side_and_a_new_amount_replaces_its_own() -> None:
    async with managed() as (_, owner):
        first = await set_budget(owner, "proj_default", "total", 1)
        for usd, window in enumerate(("monthly", "weekly", "daily"), start=2):
            await set_budget(owner, "proj_default", window, usd)
        last = await set_budget(owner, "proj_default", "total", 5)
        found = await budgets_of(owner, "proj_default")
        listed = (await owner.ask("GET", "/budgets")).json()["data"]

    assert found == {"total": "5", "daily": "4", "weekly": "3", "monthly": "2"}
    assert [budget["window"] for budget in listed] == [*("monthly", "weekly", "daily", "total")]
    assert last["version"] > first["version"]
    assert last["resets_at"] is None


async def test_what_all_keys_of_a_scope_spend_and_hold_is_gone() -> None:
    async with managed() as (ingress, owner):
        other = (await owner.make_key())["data"]["id"]
        await set_budget(owner, "proj_default", "daily", "1")
        await set_budget(owner, "key_local", "daily", "1")
        spend(ingress, day_usd="0.25", held_day_usd="0.5", total_usd="7", held_usd="9")
        spend(ingress, other, day_usd="0.125", total_usd="7")

        listed = (await owner.ask("GET", "/budgets")).json()["data"]
        ingress.clock.advance(86_400_000)
        next_day = (await owner.ask("GET", "/budgets")).json()["data"]

    fields = ("scope", "spend_usd", "held_usd", "remaining_usd")
    assert [tuple(budget[name] for name in fields) for budget in listed] == [
        ("proj_default", "0.375", "0.5", "0.125"),
        ("key_local", "0.25", "0.5", "0.25"),
    ]
    assert [budget["remaining_usd"] for budget in next_day] == ["1", "1"]


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("proj_default/daily", {}, 400, "limit_usd"),
        ("proj_default/daily", {"limit_usd": None}, 400, "limit_usd"),
        ("proj_default/daily", {"limit_usd": -1}, 400, "limit_usd"),
        ("proj_default/daily", {"limit_usd": "0.0000001"}, 400, "limit_usd"),
        ("proj_default/daily", {"limit_usd": True}, 400, "limit_usd"),
        ("proj_default/daily", {"limit": 1}, 400, "limit"),
        ("proj_default/yearly", {"limit_usd": 1}, 400, "window"),
        ("proj_none/daily", {"limit_usd": 1}, 404, "id"),
    ],
    ids=["nothing", "null", "negative", "too fine", "a boolean", "typo", "no window", "no scope"],
)
async def test_a_budget_that_is_not_sound_is_refused_by_name(
    path: str, body: Json, status: int, param: str
) -> None:
    async with managed() as (ingress, owner):
        response = await owner.ask("PUT", f"/budgets/{path}", body)

        assert asked(ingress) == []
    assert (response.status_code, response.json()["error"]["param"]) == (status, param)


async def test_a_member_sees_the_budgets_that_bind_its_project() -> None:
    async with managed() as (_, owner):
        project = (await owner.ask("POST", "/projects", {"name": "staging"})).json()["data"]["id"]
        member = await owner.make_key(role="member", project_id=project)
        theirs = (await owner.make_key(project_id=project))["data"]["id"]
        for scope in ("org_local", "proj_default", "key_local", project, theirs):
            await set_budget(owner, scope, "total", 1)
        view = Management(owner.ingress, member["key"])

        seen = {budget["scope"] for budget in (await view.ask("GET", "/budgets")).json()["data"]}
        others = await view.ask("GET", "/budgets/proj_default")
        denied = await view.ask("PUT", "/budgets/org_local/total", {"limit_usd": 1})

    assert seen == {"org_local", project, theirs}
    assert (others.status_code, denied.status_code) == (404, 403)


async def test_a_key_is_made_with_a_limit() -> None:
    async with managed() as (ingress, owner):
        made = (await owner.make_key(limit=12.5, limit_reset="monthly"))["data"]
        found = await budgets_of(owner, made["id"])
        spend(ingress, made["id"], month_usd="2", held_month_usd="0.5", total_usd="90")
        shown = (await owner.ask("GET", f"/keys/{made['id']}")).json()["data"]
        plain = (await owner.make_key(limit=None, limit_reset=None, include_byok_in_limit=False))["data"]  # fmt: skip

    fields = ("limit", "limit_reset", "limit_remaining", "include_byok_in_limit")
    assert [made[name] for name in fields] == [12.5, "monthly", 12.5, False]
    assert [shown[name] for name in fields] == [12.5, "monthly", 10.0, False]
    assert [plain[name] for name in fields] == [None, None, None, False]
    assert found == {"monthly": "12.5"}


@pytest.mark.parametrize(
    ("present", "body", "found", "sent"),
    [
        ({}, {"limit": 5}, {"total": "5"}, ["set_budget"]),
        ({"daily": 1}, {"limit": 5}, {"daily": "5"}, ["set_budget"]),
        ({"daily": 1}, {"limit": 5, "limit_reset": None}, {"total": "5"}, ["set_budget"]),
        ({"daily": 1}, {"limit_reset": "weekly"}, {"weekly": "1"}, ["set_budget"]),
        ({"daily": 1, "total": 9}, {"limit": 2}, {"daily": "2"}, ["set_budget"]),
        ({"daily": 1}, {"limit": None}, {}, ["clear_budget"]),
        ({"daily": 1, "total": 9}, {"limit": None, "limit_reset": None}, {}, ["clear_budget"]),
        ({}, {"limit": None}, {}, []),
        ({"daily": 1}, {"include_byok_in_limit": False}, {"daily": "1"}, []),
        ({"daily": 1}, {"include_byok_in_limit": True}, {"daily": "1"}, ["set_budget"]),
        ({"daily": 1}, {"name": "b", "limit": 5}, {"daily": "5"}, ["set_budget", "change_key"]),
        ({"daily": 1}, {"name": "b"}, {"daily": "1"}, ["change_key"]),
    ],
    ids=[
        "a first limit", "another amount", "from then on endless", "another window",
        "the tightest of two stays alone", "none", "none of two", "none of none", "no word of it",
        "own keys count too",
        "and a name", "a name alone",
    ],
)  # fmt: skip
async def test_a_keys_limit_is_one_budget(
    present: dict[str, int], body: Json, found: dict[str, str], sent: list[str]
) -> None:
    async with managed() as (ingress, owner):
        for window, usd in present.items():
            await set_budget(owner, "key_local", window, usd)
        already = len(asked(ingress))

        changed = await owner.ask("PATCH", "/keys/key_local", body)

        assert changed.status_code == 200, changed.text
        assert asked(ingress)[already:] == sent
        assert await budgets_of(owner, "key_local") == found
        shown = (await owner.ask("GET", "/keys/key_local")).json()
    assert changed.json() == shown
    limits: list[tuple[float | None, str | None]] = [
        (float(usd), None if window == "total" else window) for window, usd in found.items()
    ]
    assert [(shown["data"]["limit"], shown["data"]["limit_reset"])] == (limits or [(None, None)])


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"limit_reset": "daily"}, "limit_reset"),
        ({"limit": -1}, "limit"),
        ({"limit": None, "include_byok_in_limit": True}, "include_byok_in_limit"),
        ({"limit": 1, "disabled": "yes"}, "disabled"),
    ],
    ids=["a window of no limit", "negative", "own provider keys of no limit", "another field"],
)
async def test_of_a_change_that_is_not_sound_nothing_is_done(body: Json, param: str) -> None:
    async with managed() as (ingress, owner):
        response = await owner.ask("PATCH", "/keys/key_local", body)

        assert asked(ingress) == []
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


async def test_a_key_sees_every_budget_that_binds_it() -> None:
    async with managed() as (ingress, owner):
        other = (await owner.make_key(limit=1))["data"]["id"]
        await set_budget(owner, "org_local", "monthly", 100)
        await set_budget(owner, "proj_default", "total", "10")
        await set_budget(owner, "key_local", "daily", 1)
        spend(ingress, total_usd="4", month_usd="3", day_usd="2")
        spend(ingress, other, total_usd="1", month_usd="1", day_usd="1")

        own = (await Management(ingress, API_KEY).ask("GET", "/key")).json()["data"]

    fields = ("level", "scope", "window", "limit_usd", "spend_usd", "remaining_usd")
    assert [tuple(budget[name] for name in fields) for budget in own["budgets"]] == [
        ("organization", "org_local", "monthly", "100", "4", "96"),
        ("project", "proj_default", "total", "10", "5", "5"),
        ("key", "key_local", "daily", "1", "2", "0"),
    ]
    more = {"held_usd", "include_byok", "overshoot_usd", "resets_at"}
    assert set(own["budgets"][0]) == {*fields, *more}
    assert (own["limit"], own["limit_remaining"]) == (1.0, 0.0)


async def test_a_rotated_keys_limit_passes_on_and_a_deleted_keys_is_gone() -> None:
    async with managed() as (_, owner):
        old = (await owner.make_key(limit=3, limit_reset="weekly"))["data"]
        new = (await owner.ask("POST", f"/keys/{old['id']}/rotate", {})).json()["data"]
        await owner.ask("DELETE", f"/keys/{old['id']}")
        listed = (await owner.ask("GET", "/budgets")).json()["data"]

    assert (new["limit"], new["limit_reset"]) == (3.0, "weekly")
    assert [budget["scope"] for budget in listed] == [new["id"]]
