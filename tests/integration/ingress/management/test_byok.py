"""Own provider keys over HTTP, with the accounts shard's own core behind it."""

import json
from base64 import b64encode
from typing import Any

import pytest
from pydantic import SecretStr

from crossdock.kernel.drivers.envelope_encryption import MasterKeys
from crossdock_schemas.accounts.control import Change
from crossdock_schemas.accounts.secret import SealedSecret
from crossdock_schemas.ids import AccountId, CredentialId
from crossdock_schemas.topics import ACCOUNT_COMMANDS, ACCOUNT_SECRETS, CANCELS
from integration.ingress.fakes import API_KEY, MASTER_KEY, Ingress
from integration.ingress.views.test_accounts import Management, managed

SECRET = "sk-own-8e1f70c2d94b5a6391"
ANOTHER = "sk-own-000111222333444555"
MASTER = MasterKeys([bytes.fromhex(MASTER_KEY)])
Json = dict[str, Any]


async def make_own(owner: Management, **body: Any) -> Json:
    response = await owner.ask("POST", "/byok", {"provider": "atlas", "key": SECRET} | body)
    assert response.status_code == 201, response.text
    made: Json = response.json()["data"]
    return made


def sealed_in(ingress: Ingress) -> list[SealedSecret | None]:
    """Return what the topic of secrets tells, in order."""
    return [
        None if record.value is None else SealedSecret.from_json(record.value)
        for record in ingress.world.sent_to(ACCOUNT_SECRETS.name)
    ]


def opened(sealed: SealedSecret | None, identifier: str) -> str:
    assert sealed is not None
    place = AccountId("org_local"), CredentialId(identifier)
    return MASTER.open(sealed, *place).get_secret_value()


async def test_a_key_is_handed_in_shown_without_its_text_and_deleted() -> None:
    async with managed() as (ingress, owner):
        made = await make_own(owner, name="Atlas", sort_order=3, declared_zdr=True)
        shown = (await owner.ask("GET", f"/byok/{made['id']}")).json()["data"]
        listed = (await owner.ask("GET", "/byok")).json()["data"]
        deleted = (await owner.ask("DELETE", f"/byok/{made['id']}")).json()
        after = await owner.ask("GET", f"/byok/{made['id']}")
        first, last = sealed_in(ingress)

    assert shown == made
    assert listed == [made]
    assert (made["provider"], made["name"], made["label"]) == ("atlas", "Atlas", "...6391")
    assert (made["project_id"], made["sort_order"], made["declared_zdr"]) == (None, 3, True)
    assert opened(first, made["id"]) == SECRET
    assert (deleted, after.status_code, last) == ({"deleted": True}, 404, None)


async def test_the_plain_key_is_in_no_record_and_no_answer() -> None:
    async with managed() as (ingress, owner):
        made = await make_own(owner)
        answers = [json.dumps(made)]
        answers += [(await owner.ask("PATCH", f"/byok/{made['id']}", body)).text for body in (
            {"key": ANOTHER}, {"key": ANOTHER, "nme": "typo"}, {"key": f"{ANOTHER} "},
        )]  # fmt: skip
        written = [value for record in ingress.world.sent for value in (record.key, record.value)]

    for secret in (SECRET, ANOTHER):
        for form in (secret, secret.encode().hex(), b64encode(secret.encode()).decode()):
            assert all(form not in text for text in answers)
            assert all(form.encode() not in (value or b"") for value in written)


async def test_another_key_takes_its_place_and_the_log_says_only_that() -> None:
    async with managed() as (ingress, owner):
        made = await make_own(owner)
        changed = (await owner.ask("PATCH", f"/byok/{made['id']}", {"key": ANOTHER})).json()["data"]
        _, second = sealed_in(ingress)
        change = newest_change(ingress)

    assert opened(second, made["id"]) == ANOTHER
    assert (changed["label"], changed["secret_version"]) == ("...4555", 2)
    assert change.after.keys() == {"label", "secret", "secret_version", "version"}
    assert change.after["secret"] == '"replaced"'


def newest_change(ingress: Ingress) -> Change:
    change_id = json.loads(ingress.world.sent_to(ACCOUNT_COMMANDS.name)[-1].value or b"")["change_id"]  # fmt: skip
    found = ingress.dock.answers.find(change_id, AccountId("org_local"))
    assert found is not None
    return found


async def test_what_is_not_said_stays_and_a_null_opens() -> None:
    async with managed() as (_, owner):
        key = (await owner.make_key())["data"]
        limits = {
            "allowed_models": ["gull-*"],
            "allowed_api_key_hashes": [key["hash"]],
            "allowed_user_ids": ["alice", "bob@acme.example"],
        }
        made = await make_own(owner, declared_region="europe", is_required=True, **limits)
        renamed = (await owner.ask("PATCH", f"/byok/{made['id']}", {"name": "b"})).json()["data"]
        nulls = dict.fromkeys((*limits, "declared_region"))
        open_ = (await owner.ask("PATCH", f"/byok/{made['id']}", nulls)).json()["data"]

    assert {name: renamed[name] for name in limits} == limits
    assert (renamed["is_required"], renamed["declared_region"]) == (True, "europe")
    assert {name: open_[name] for name in nulls} == nulls
    assert open_["name"] == "b"


async def test_a_disabled_key_is_told_to_workers_until_it_is_enabled() -> None:
    async with managed() as (ingress, owner):
        made = await make_own(owner)
        for disabled in (True, False):
            await owner.ask("PATCH", f"/byok/{made['id']}", {"disabled": disabled})
        told = [json.loads(record.value or b"") for record in ingress.world.sent_to(CANCELS.name)]

    assert [(one["id"], one["is_lifted"]) for one in told] == [(made["id"], False), (made["id"], True)]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"key": None}, "key"),
        ({"key": 7}, "key"),
        ({"key": "short"}, "key"),
        ({"key": "sk-with a space"}, "key"),
        ({"key": "sk-ünusual"}, "key"),
        ({"provider": None}, "provider"),
        ({"provider": "nobody"}, "provider"),
        ({"provider": ["atlas"]}, "provider"),
        ({"allowed_api_key_hashes": []}, "allowed_api_key_hashes"),
        ({"allowed_api_key_hashes": ["ab"]}, "allowed_api_key_hashes"),
        ({"allowed_api_key_hashes": ["0" * 64]}, "allowed_api_key_hashes"),
        ({"allowed_api_key_hashes": ["0" * 64] * 101}, "allowed_api_key_hashes"),
        ({"allowed_api_key_hashes": "0" * 64}, "allowed_api_key_hashes"),
        ({"allowed_user_ids": []}, "allowed_user_ids"),
        ({"allowed_user_ids": [""]}, "allowed_user_ids.0"),
        ({"allowed_user_ids": ["alice", 7]}, "allowed_user_ids.1"),
        ({"allowed_user_ids": ["u" * 257]}, "allowed_user_ids.0"),
        ({"allowed_user_ids": ["alice"] * 101}, "allowed_user_ids"),
        ({"allowed_user_ids": "alice"}, "allowed_user_ids"),
        ({"allowed_models": ["a b"]}, "allowed_models.0"),
        ({"allowed_models": "a"}, "allowed_models"),
        ({"sort_order": -1}, "sort_order"),
        ({"sort_order": "1"}, "sort_order"),
        ({"declared_region": "mars"}, "declared_region"),
        ({"is_fallback": "yes"}, "is_fallback"),
        ({"project_id": 1}, "project_id"),
        ({"is_falback": True}, "is_falback"),
        ({"name": ""}, "name"),
        ({"test": 1}, "test"),
    ],
)
async def test_what_is_not_sound_is_refused_by_name_and_nothing_is_asked(
    body: Json, param: str
) -> None:
    async with managed() as (ingress, owner):
        response = await owner.ask("POST", "/byok", {"provider": "atlas", "key": SECRET} | body)
        asked = ingress.world.sent_to(ACCOUNT_COMMANDS.name)

    assert (response.status_code, response.json()["error"]["param"]) == (400, param)
    assert asked == []
    assert SECRET not in response.text


async def test_a_key_for_no_end_user_is_refused_and_the_answer_says_what_to_do() -> None:
    async with managed() as (_, owner):
        made = await make_own(owner)
        refused = await owner.ask("PATCH", f"/byok/{made['id']}", {"allowed_user_ids": []})

    message = refused.json()["error"]["message"]
    assert refused.status_code == 400
    assert "1 to 100" in message
    assert "null: the key serves every caller; `disabled`: no caller" in message


async def test_a_hundred_end_users_of_the_longest_names_are_taken_and_each_is_kept_once() -> None:
    users = [f"{number:0256}" for number in range(99)] + [" Ünü 用户"]
    async with managed() as (_, owner):
        many = await make_own(owner, allowed_user_ids=users)
        twice = await make_own(owner, allowed_user_ids=["bob", "alice", "bob"])

    assert many["allowed_user_ids"] == users
    assert twice["allowed_user_ids"] == ["bob", "alice"]


async def test_only_own_keys_and_a_fallback_exclude_each_other() -> None:
    async with managed() as (_, owner):
        both = {"provider": "atlas", "key": SECRET, "is_byok_only": True, "is_fallback": True}
        refused = await owner.ask("POST", "/byok", both)
        made = await make_own(owner, is_byok_only=True)
        changed = await owner.ask("PATCH", f"/byok/{made['id']}", {"is_fallback": True})

    assert (refused.status_code, changed.status_code) == (400, 400)
    assert "is_byok_only" in refused.json()["error"]["message"]


@pytest.mark.parametrize(("role", "status"), [("admin", 201), ("member", 403), ("analyst", 403)])
async def test_owners_and_admins_hand_keys_in_and_nobody_else(role: str, status: int) -> None:
    async with managed() as (_, owner):
        other = Management(owner.ingress, (await owner.make_key(role=role))["key"])
        response = await other.ask("POST", "/byok", {"provider": "atlas", "key": SECRET})
        own = await make_own(owner)
        seen = await other.ask("GET", f"/byok/{own['id']}")
        deleted = await other.ask("DELETE", f"/byok/{own['id']}")

    assert (response.status_code, seen.status_code) == (status, 200)
    assert deleted.status_code == (200 if status == 201 else 403)


async def test_an_inference_key_manages_nothing_here() -> None:
    async with managed() as (ingress, _):
        assert (await Management(ingress, API_KEY).ask("GET", "/byok")).status_code == 403


async def test_a_member_sees_its_own_projects_keys_and_the_organizations() -> None:
    async with managed() as (_, owner):
        project = (await owner.ask("POST", "/projects", {"name": "staging"})).json()["data"]["id"]
        member = await owner.make_key(role="member", project_id=project)
        view = Management(owner.ingress, member["key"])
        made = [await make_own(owner, project_id=p) for p in (None, "proj_default", project)]
        seen = [one["id"] for one in (await view.ask("GET", "/byok")).json()["data"]]
        hidden = await view.ask("GET", f"/byok/{made[1]['id']}")

    assert sorted(seen) == sorted([made[0]["id"], made[2]["id"]])
    assert hidden.status_code == 404


async def test_another_organizations_keys_do_not_exist() -> None:
    async with managed() as (_, owner):
        made = await make_own(owner)
        other = (await owner.ask("POST", "/organizations", {"name": "other"})).json()
        theirs = Management(owner.ingress, other["key"])
        own = await make_own(theirs)
        statuses = [(await theirs.ask(method, f"/byok/{made['id']}", body)).status_code for method, body in (
            ("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None),
        )]  # fmt: skip
        listed = (await theirs.ask("GET", "/byok")).json()["data"]
        foreign = await theirs.ask("POST", "/byok", {"provider": "atlas", "key": SECRET, "project_id": "proj_default"})  # fmt: skip

    assert statuses == [404, 404, 404]
    assert listed == [own]
    assert foreign.status_code == 404


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        (200, 201, "ok"),
        (404, 201, "unclear"),
        (500, 201, "unclear"),
        (None, 201, "unreachable"),
        (401, 400, None),
        (403, 400, None),
    ],
)
async def test_a_key_is_tested_when_it_is_asked_for(
    answer: int | None, status: int, said: str | None
) -> None:
    calls: list[tuple[str, str]] = []

    async def ask_status(url: str, key: SecretStr) -> int | None:
        calls.append((url, key.get_secret_value()))
        return answer

    async with managed(ask_status=ask_status) as (ingress, owner):
        body = {"provider": "atlas", "key": SECRET, "test": True}
        response = await owner.ask("POST", "/byok", body)
        asked = ingress.world.sent_to(ACCOUNT_COMMANDS.name)

    assert calls == [("http://none/models", SECRET)]
    assert response.status_code == status
    assert response.json().get("test") == said
    assert len(asked) == (status == 201)
    if status == 400:
        assert response.json()["error"]["code"] == "invalid_provider_key"


async def test_nobody_is_asked_when_no_test_is_asked_for_or_who_asks_may_not() -> None:
    async def ask_status(url: str, key: SecretStr) -> int | None:
        raise AssertionError(url)

    async with managed(ask_status=ask_status) as (_, owner):
        assert "test" not in await make_own(owner, test=False)
        member = Management(owner.ingress, (await owner.make_key(role="member"))["key"])
        denied = await member.ask("POST", "/byok", {"provider": "atlas", "key": SECRET, "test": True})  # fmt: skip

    assert denied.status_code == 403


async def test_without_a_master_key_no_key_is_taken_in() -> None:
    async with managed(master_key="") as (_, owner):
        response = await owner.ask("POST", "/byok", {"provider": "atlas", "key": SECRET})

    assert response.status_code == 503
    assert response.json()["error"]["code"] == "byok_not_configured"


NEW_KEY = "7a" * 32
BOTH = f"{NEW_KEY},{MASTER_KEY}"
ROTATED = MasterKeys([bytes.fromhex(NEW_KEY), bytes.fromhex(MASTER_KEY)])


async def test_a_secret_is_put_under_the_first_master_key_and_nothing_else_changes() -> None:
    async with managed(master_key=BOTH) as (ingress, owner):
        other = (await owner.ask("POST", "/organizations", {"name": "other"})).json()
        theirs = Management(owner.ingress, other["key"])
        made = await make_own(theirs)
        account = AccountId(other["data"]["id"])
        old = MASTER.seal(SecretStr(SECRET), account, CredentialId(made["id"]), 1)
        new = ROTATED.rewrap(old)
        path = f"/byok/{made['id']}/rewrap"
        denied = await theirs.ask("POST", path, json.loads(new.to_json()))
        stale = await owner.ask("POST", path, json.loads(old.to_json()))
        done = await owner.ask("POST", path, json.loads(new.to_json()))
        shown = (await theirs.ask("GET", f"/byok/{made['id']}")).json()["data"]

        assert sealed_in(ingress)[-1] == new
    assert (denied.status_code, stale.status_code, done.status_code) == (403, 400, 200)
    assert shown == made


async def test_what_does_not_open_or_is_no_secret_is_not_taken_for_one() -> None:
    async with managed() as (ingress, owner):
        made = await make_own(owner)
        path = f"/byok/{made['id']}/rewrap"
        foreign = ROTATED.seal(SecretStr(SECRET), AccountId("org_local"), CredentialId(made["id"]), 1)  # fmt: skip
        newer = MASTER.seal(SecretStr(SECRET), AccountId("org_local"), CredentialId(made["id"]), 2)
        bodies: list[Json] = [{}, json.loads(foreign.to_json()), json.loads(newer.to_json())]
        answers = [await owner.ask("POST", path, body) for body in bodies]
        nobody = await owner.ask("POST", "/byok/byok_0/rewrap", bodies[1])

        assert len(sealed_in(ingress)) == 1
    assert [answer.status_code for answer in answers] == [400, 400, 409]
    assert nobody.status_code == 404


AZURE = {"api_key": "azure-0123456789-0123456789", "resource_name": "acme-eu"}


@pytest.mark.parametrize("given", [AZURE, json.dumps(AZURE)], ids=["object", "text"])
async def test_a_key_of_another_shape_is_sealed_whole_and_told_by_its_own_end(given: Any) -> None:
    async with managed() as (ingress, owner):
        made = (await owner.ask("POST", "/byok", {"provider": "azure", "key": given})).json()
        (sealed,) = sealed_in(ingress)

    assert made["data"]["label"] == "...6789"
    assert json.loads(opened(sealed, made["data"]["id"])) == AZURE


async def test_what_a_shape_lacks_is_named_without_the_key() -> None:
    async with managed() as (_, owner):
        body = {"provider": "azure", "key": {"api_key": AZURE["api_key"]}}
        refused = await owner.ask("POST", "/byok", body)
        plain = await owner.ask("POST", "/byok", {"provider": "azure", "key": AZURE["api_key"]})

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "key.resource_name")
    assert (plain.status_code, plain.json()["error"]["param"]) == (400, "key")
    assert AZURE["api_key"] not in refused.text + plain.text


async def test_a_key_of_another_shape_is_not_tried() -> None:
    async with managed(ask_status=never) as (_, owner):
        body = {"provider": "azure", "key": AZURE, "test": True}
        made = await owner.ask("POST", "/byok", body)

    assert made.json()["test"] == "unclear"


async def never(_url: str, _key: SecretStr) -> int | None:
    raise AssertionError
