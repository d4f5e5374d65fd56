"""Keys, projects and organizations over HTTP, with the accounts shard's own core behind it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from crossdock.kernel.process.record import Outgoing
from crossdock.kernel.requests.api_keys import digest, make_plain_key
from crossdock_schemas.ids import OPERATOR
from crossdock_schemas.topics import ACCOUNT_CHANGES, ACCOUNT_DIRECTORY, CANCELS
from integration.ingress.fakes import API_KEY, CHAT_MODEL, OWNER_KEY, Ingress, running_ingress
from support.accounts import KEY_SECRET

Json = dict[str, Any]


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


class Management:
    """What an owner does."""

    def __init__(self, ingress: Ingress, key: str = OWNER_KEY) -> None:
        self.ingress = ingress
        self._http = ingress.http
        self._headers = bearer(key)

    async def ask(self, method: str, path: str, body: Json | None = None) -> httpx.Response:
        return await self._http.request(method, f"/v1{path}", json=body, headers=self._headers)

    async def make_key(self, **body: Any) -> Json:
        response = await self.ask("POST", "/keys", {"name": "app"} | body)
        assert response.status_code == 201, response.text
        made: Json = response.json()
        return made


@asynccontextmanager
async def managed(**settings: Any) -> AsyncIterator[tuple[Ingress, Management]]:
    async with running_ingress(**settings) as ingress:
        yield ingress, Management(ingress)


async def chat(ingress: Ingress, key: str) -> int:
    """Return the status of a request with `key`."""
    body = {"model": CHAT_MODEL, "messages": [{"role": "user", "content": "Hi"}]}
    response = await ingress.http.post("/v1/chat/completions", json=body, headers=bearer(key))
    return response.status_code


async def test_a_new_key_works_and_is_shown_without_its_text() -> None:
    async with managed() as (ingress, owner):
        made = await owner.make_key(name="batch jobs", tags={"team": "search"})
        shown = (await owner.ask("GET", f"/keys/{made['data']['hash']}")).json()

        assert await chat(ingress, made["key"]) == 200
    assert shown["data"] == made["data"]
    assert shown["data"]["hash"] == digest(made["key"])
    assert made["key"] not in str(shown)
    assert (shown["data"]["name"], shown["data"]["tags"]) == ("batch jobs", {"team": "search"})


async def test_requests_and_tokens_a_minute_are_set_kept_by_a_successor_and_taken_away() -> None:
    async with managed() as (_, owner):
        made = await owner.make_key(rpm=60, tpm=90_000)
        path = f"/keys/{made['data']['hash']}"
        faster = (await owner.ask("PATCH", path, {"tpm": 100_000})).json()["data"]
        heir = (await owner.ask("POST", f"{path}/rotate")).json()["data"]
        free = (await owner.ask("PATCH", path, {"rpm": 0, "tpm": 0})).json()["data"]
        plain = await owner.make_key()

    shown = [made["data"], faster, heir, free, plain["data"]]
    assert [(key["rpm"], key["tpm"]) for key in shown] == [
        (60, 90_000), (60, 100_000), (60, 100_000), (None, None), (None, None),
    ]  # fmt: skip


async def test_a_deleted_key_is_refused_and_what_it_asked_for_is_cancelled() -> None:
    async with managed() as (ingress, owner):
        made = await owner.make_key()
        before = await chat(ingress, made["key"])

        deleted = await owner.ask("DELETE", f"/keys/{made['data']['hash']}")
        after = await chat(ingress, made["key"])

        assert (before, after, deleted.json()) == (200, 401, {"deleted": True})
        (cancel,) = ingress.world.sent_to(CANCELS.name)
    assert cancel.key == made["data"]["id"].encode()


async def test_a_disabled_key_is_refused_until_it_is_enabled() -> None:
    async with managed() as (ingress, owner):
        made = await owner.make_key()
        path = f"/keys/{made['data']['id']}"
        statuses = []
        for disabled in (True, False):
            await owner.ask("PATCH", path, {"disabled": disabled})
            statuses.append(await chat(ingress, made["key"]))

    assert statuses == [401, 200]


async def test_both_keys_of_a_rotation_work_during_the_overlap() -> None:
    async with managed() as (ingress, owner):
        old = await owner.make_key()
        new = (await owner.ask("POST", f"/keys/{old['data']['id']}/rotate", {"overlap_s": 60})).json()  # fmt: skip
        during = [await chat(ingress, key) for key in (old["key"], new["key"])]
        ingress.clock.advance(60_000)
        afterwards = [await chat(ingress, key) for key in (old["key"], new["key"])]

    assert (during, afterwards) == ([200, 200], [401, 200])
    assert new["data"]["rotated_from"] == old["data"]["id"]


async def test_a_key_ends_when_it_shall() -> None:
    async with managed() as (ingress, owner):
        made = await owner.make_key(expires_at="2027-01-15T08:00:10Z")
        before = await chat(ingress, made["key"])
        ingress.clock.advance(3600_000)

        assert (before, await chat(ingress, made["key"])) == (200, 401)
        assert (await owner.ask("GET", "/keys")).json()["data"][-1]["id"] != made["data"]["id"]
        everything = (await owner.ask("GET", "/keys?include_expired=true")).json()["data"]
    assert made["data"]["id"] in [key["id"] for key in everything]


async def test_an_authentic_key_that_the_directory_does_not_show_yet_is_waited_for() -> None:
    """It was made by another ingress a moment ago."""
    async with managed() as (ingress, _):
        plain = make_plain_key(OPERATOR, KEY_SECRET, ingress.clock.now_ms())
        known = ingress.dock.accounts.key_of(digest(API_KEY))
        assert known is not None
        entry = known.model_copy(update={"hash": digest(plain), "key_id": "key_new"})

        async with asyncio.TaskGroup() as group:
            asking = group.create_task(chat(ingress, plain))
            await asyncio.sleep(0.1)
            assert not asking.done()
            ingress.world.show_entity("key_new", entry)

        assert asking.result() == 200


@pytest.mark.parametrize(
    ("networks", "status"),
    [(["10.0.0.0/8"], 403), (["127.0.0.1"], 200), (["10.0.0.0/8", "127.0.0.0/8"], 200)],
    ids=["elsewhere", "here", "here or elsewhere"],
)
async def test_a_key_works_from_its_networks_only(networks: list[str], status: int) -> None:
    async with managed() as (ingress, owner):
        made = await owner.make_key(allowed_ips=networks)

        assert await chat(ingress, made["key"]) == status


async def test_the_organizations_networks_count_for_all_its_keys() -> None:
    async with managed() as (ingress, owner):
        body = {"allowed_ips": ["10.0.0.0/8"]}
        refused = await owner.ask("PATCH", "/organization", body)
        assert refused.status_code == 409  # it would exclude the caller
        await owner.ask("PATCH", "/organization?force=lock_out", body)

        assert await chat(ingress, API_KEY) == 403


async def test_management_keys_run_nothing_and_inference_keys_manage_nothing() -> None:
    async with managed() as (ingress, _):
        run = await chat(ingress, OWNER_KEY)
        manage = await Management(ingress, API_KEY).ask("GET", "/keys")
        own = [
            (await Management(ingress, key).ask("GET", "/key")).json()["data"]["is_management_key"]
            for key in (OWNER_KEY, API_KEY)
        ]

    assert (run, manage.status_code) == (403, 403)
    assert own == [True, False]


async def test_a_members_key_sees_its_own_projects_keys_only() -> None:
    async with managed() as (ingress, owner):
        project = (await owner.ask("POST", "/projects", {"name": "staging"})).json()["data"]["id"]
        member = await owner.make_key(role="member", project_id=project)
        theirs = await owner.make_key(project_id=project)
        others = await owner.make_key()
        view = Management(ingress, member["key"])

        seen = {key["id"] for key in (await view.ask("GET", "/keys")).json()["data"]}
        refused = await view.ask("DELETE", f"/keys/{others['data']['id']}")
        denied = await view.ask("POST", "/projects", {"name": "mine"})

    assert seen == {member["data"]["id"], theirs["data"]["id"]}
    assert (refused.status_code, denied.status_code) == (404, 403)
    assert denied.json()["error"]["type"] == "permission_denied"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a", "limit": -10}, "limit"),
        ({"name": "a", "limit_reset": "daily"}, "limit_reset"),
        ({"name": "a", "include_byok_in_limit": True}, "include_byok_in_limit"),
        ({"name": "a", "nmae": "b"}, "nmae"),
        ({"name": "a", "role": "king"}, "role"),
        ({"name": "a", "expires_at": "tomorrow"}, "expires_at"),
        ({"name": "a", "expires_at": "2030-01-01T00:00:00"}, "expires_at"),
        ({"name": "a", "allowed_ips": ["here"]}, "allowed_ips"),
        ({"name": "a", "allowed_ips": "10.0.0.1"}, "allowed_ips"),
        ({"name": "a", "tags": {"a": 1}}, "tags.a"),
        ({"name": "a", "tpm": "many"}, "tpm"),
        ({"name": "a", "tpm": True}, "tpm"),
        ({"name": "a", "tpm": -1}, "tpm"),
        ({"name": "a", "rpm": 1_000_001}, "rpm"),
        ({"name": "a", "tpm": 1_000_000_001}, "tpm"),
    ],
    ids=[
        "no name", "empty name", "negative limit", "no limit to reset", "own provider keys", "typo", "role",
        "no time", "no zone", "no network", "no list", "tag",
        "no number of tokens", "a flag", "fewer than none", "too many requests", "too many tokens",
    ],
)  # fmt: skip
async def test_a_wish_that_is_not_sound_is_refused_by_name(body: Json, param: str) -> None:
    async with managed() as (_, owner):
        response = await owner.ask("POST", "/keys", body)

    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


async def test_what_the_shard_refuses_comes_with_its_status() -> None:
    async with managed() as (_, owner):
        unknown = await owner.ask("POST", "/keys", {"name": "a", "project_id": "proj_none"})
        past = await owner.ask("POST", "/keys", {"name": "a", "expires_at": "2020-01-01T00:00:00Z"})  # fmt: skip
        last = await owner.ask("DELETE", "/keys/key_owner")

    assert [r.status_code for r in (unknown, past, last)] == [404, 400, 409]
    assert "last owner" in last.json()["error"]["message"]


async def test_a_shard_that_does_not_answer_is_a_503_that_says_to_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("crossdock.ingress.commands.account_commands.ANSWER_S", 0.05)
    async with managed() as (ingress, owner):
        ingress.world.is_silent = True
        response = await owner.ask("POST", "/keys", {"name": "a"})

    assert response.status_code == 503
    assert "may still be made" in response.json()["error"]["message"]


async def test_projects_are_made_changed_and_stopped() -> None:
    async with managed() as (ingress, owner):
        made = (await owner.ask("POST", "/projects", {"name": "staging", "tags": {"env": "s"}})).json()["data"]  # fmt: skip
        path = f"/projects/{made['id']}"
        key = (await owner.make_key(project_id=made["id"]))["key"]
        before = await chat(ingress, key)
        changed = (await owner.ask("PATCH", path, {"name": "stage", "disabled": True})).json()
        after = await chat(ingress, key)
        again = await owner.ask("POST", "/projects", {"name": "stage"})
        shown = (await owner.ask("GET", path)).json()
        names = [p["name"] for p in (await owner.ask("GET", "/projects")).json()["data"]]

    assert (before, after, again.status_code) == (200, 403, 409)
    assert shown == changed
    assert changed["data"] | {"name": "staging", "disabled": False, "updated_at": None} == made | {
        "updated_at": None
    }
    assert set(names) == {"default", "stage"}


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/organization", {"max_key_life_s": "long"}, "max_key_life_s"),
        ("/organization", {"max_key_life_s": -1}, "max_key_life_s"),
        ("/organization", {"name": "n" * 300}, "name"),
        ("/keys/key_local", {"disabled": "yes"}, "disabled"),
        ("/keys/key_local", {"tags": ["a"]}, "tags"),
        ("/keys/key_local", {"expires_at": None}, "expires_at"),
        ("/projects/proj_default", {"colour": "blue"}, "colour"),
    ],
)
async def test_a_change_that_is_not_sound_is_refused_by_name(
    path: str, body: Json, param: str
) -> None:
    async with managed() as (_, owner):
        response = await owner.ask("PATCH", path, body)

    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


async def test_a_change_of_the_organization_is_shown() -> None:
    async with managed() as (_, owner):
        body = {"name": "Acme", "max_key_life_s": 86_400}
        changed = (await owner.ask("PATCH", "/organization", body)).json()["data"]
        endless = await owner.ask("POST", "/keys", {"name": "a"})

    assert (changed["name"], changed["max_key_life_s"]) == ("Acme", 86_400)
    assert endless.status_code == 400
    assert "set expires_at" in endless.json()["error"]["message"]


async def test_garbage_on_the_topics_is_passed_over() -> None:
    async with managed() as (ingress, owner):
        for topic, apply in (
            (ACCOUNT_DIRECTORY, ingress.dock.accounts.apply),
            (ACCOUNT_CHANGES, ingress.dock.answers.apply),
        ):
            for key in (b"key_x", b"none", b""):
                apply(ingress.world.record(Outgoing(topic.name, key, b"{", [])))

        assert (await owner.ask("GET", "/keys/key_owner")).status_code == 200


async def other_organization(owner: Management) -> tuple[Json, str]:
    made = (await owner.ask("POST", "/organizations", {"name": "Globex"})).json()
    return made["data"], made["key"]


async def test_an_organization_begins_with_an_owners_key() -> None:
    async with managed() as (ingress, owner):
        organization, key = await other_organization(owner)
        theirs = Management(ingress, key)
        shown = (await theirs.ask("GET", "/organization")).json()["data"]
        app = await theirs.make_key()
        further = await theirs.ask("POST", "/organizations", {"name": "Initech"})

        assert await chat(ingress, app["key"]) == 200
    assert shown == organization
    assert not shown["is_operator"]
    assert further.status_code == 403
