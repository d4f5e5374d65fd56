"""Kind 10 of issue 16: attribution and limits cannot be stepped around."""

import time
from collections.abc import Iterator
from decimal import Decimal

import httpx
import pytest

from crossdock.ingress.http.clients import MAX_GUESSES, PAUSE_MS
from support.attacks import Attacked
from support.effort import Effort
from support.victim import Json, Victim, make_victim

GOOD = {200, 402, 429}


@pytest.fixture(name="victim")
def _victim(attacked: Attacked) -> Iterator[Victim]:
    url = attacked.dock.addresses["OPENAI_BASE_URL"].removesuffix("/v1")
    with httpx.Client(base_url=url, timeout=60) as http:
        yield make_victim(attacked, http)


def spent(victim: Victim, scope: str) -> tuple[Decimal, Decimal]:
    """Return the limit of a scope's budget, and what was spent and held of it."""
    (budget,) = victim.ask("GET", f"/v1/budgets/{scope}").json()["data"]
    used = Decimal(budget["spend_usd"]) + Decimal(budget["held_usd"])
    return Decimal(budget["limit_usd"]), used


def test_a_request_does_not_leave_the_budget_of_its_keys_tag(
    attacked: Attacked, victim: Victim
) -> None:
    tag = "tag%3Ateam%3Dsearch"
    made = victim.ask("POST", "/v1/keys", {"name": "search", "tags": {"team": "search"}}).json()
    assert victim.ask("PUT", f"/v1/budgets/{tag}/total", {"limit_usd": "0.000001"}).is_success

    with attacked.unharmed(audit=False):
        for metadata in ({}, {"team": "other"}, {"team": ""}, {"TEAM": "x", "team": "search "}):
            refused = victim.chat(key=made["key"], metadata=metadata)
            assert refused.status_code == 402, refused.text
            assert "tag:team=search" in refused.json()["error"]["message"]
    assert victim.chat(metadata={"team": "other"}).status_code == 200


def test_a_projects_tag_is_not_left_by_a_request_nor_by_a_members_key(victim: Victim) -> None:
    project = victim.ask("POST", "/v1/projects", {"name": "p", "tags": {"team": "p"}}).json()[
        "data"
    ]
    fields = {"name": "m", "role": "member", "project_id": project["id"]}
    member = victim.ask("POST", "/v1/keys", fields).json()["key"]
    app = victim.ask("POST", "/v1/keys", {"name": "a"}, key=member).json()["key"]
    assert victim.ask(
        "PUT", "/v1/budgets/tag%3Ateam%3Dp/total", {"limit_usd": "0.000001"}
    ).is_success

    assert victim.chat(key=app, metadata={"team": "other"}).status_code == 402
    other = victim.ask("POST", "/v1/keys", {"name": "b", "tags": {"team": "other"}}, key=member)
    assert other.status_code == 403


def test_rotations_are_one_budget_and_one_minute(
    attacked: Attacked, victim: Victim, effort: Effort
) -> None:
    fields = {"name": "r", "limit": "0.001", "rpm": 5}
    made = victim.ask("POST", "/v1/keys", fields).json()
    keys, last = [made["key"]], made["data"]["id"]
    for _ in range(4):
        heir = victim.ask("POST", f"/v1/keys/{last}/rotate", {"overlap_s": 3600}).json()
        keys.append(heir["key"])
        last = heir["data"]["id"]

    with attacked.unharmed():
        began = time.monotonic()
        statuses = [
            victim.chat(key=keys[n % len(keys)], max_tokens=1).status_code
            for n in range(effort(15, 60))
        ]
        assert set(statuses) <= GOOD
        assert statuses.count(200) <= 6 + (time.monotonic() - began) / 12  # five a minute
        victim.ask("PATCH", f"/v1/keys/{last}", {"rpm": 0})
        for key in keys[:-1]:
            victim.ask("PATCH", f"/v1/keys/{_id_of(victim, key)}", {"rpm": 0})
        for n in range(effort(30, 600)):
            assert victim.chat(key=keys[n % len(keys)], max_tokens=400).status_code in GOOD
    totals = [spent(victim, _id_of(victim, key)) for key in keys]
    assert len(set(totals)) == 1  # each shows what the whole chain used
    limit, used = totals[0]
    assert Decimal(0) < used <= limit


def _id_of(victim: Victim, key: str) -> str:
    found: str = victim.ask("GET", "/v1/key", key=key).json()["data"]["id"]
    return found


def test_a_member_makes_no_key_above_its_own(victim: Victim) -> None:
    own = {
        "name": "m",
        "role": "member",
        "rpm": 5,
        "tpm": 500,
        "limit": 1,
        "allowed_ips": ["127.0.0.1"],
    }
    member = victim.ask("POST", "/v1/keys", own).json()["key"]
    within: Json = {"name": "a", "rpm": 5, "tpm": 500, "limit": 1, "allowed_ips": ["127.0.0.1"]}
    above: list[Json] = [
        {"rpm": None}, {"rpm": 6}, {"tpm": 0}, {"limit": None}, {"limit": 2}, {"allowed_ips": []}, {"role": "admin"},
    ]  # fmt: skip

    refused = [
        victim.ask("POST", "/v1/keys", within | one, key=member).status_code for one in above
    ]
    raising: list[Json] = [
        {"rpm": 0},
        {"tpm": 501},
        {"limit": 5},
        {"limit": None},
        {"allowed_ips": []},
    ]
    made = victim.ask("POST", "/v1/keys", within, key=member).json()["data"]["id"]
    raised = [
        victim.ask("PATCH", f"/v1/keys/{made}", one, key=member).status_code for one in raising
    ]
    cleared = victim.ask("DELETE", f"/v1/budgets/{made}/total", key=member)

    assert refused == [403] * len(above)
    assert raised == [403] * 5
    assert cleared.status_code == 403


def test_unknown_keys_are_slowed_down_and_good_ones_are_not(
    attacked: Attacked, victim: Victim, effort: Effort
) -> None:
    """588 bad keys a second were looked up."""
    count = effort(300, 3000)
    with attacked.unharmed(audit=False):
        began = time.monotonic()
        answers = [victim.ask("GET", "/v1/key", key=f"sk-cd-{n}") for n in range(count)]
        took_s = time.monotonic() - began
        good = [victim.ask("GET", "/v1/key").status_code for _ in range(20)]

    looked_up = [one for one in answers if one.status_code == 401]
    slowed = [one for one in answers if one.status_code == 429]
    assert len(looked_up) + len(slowed) == count
    assert len(looked_up) <= MAX_GUESSES + took_s * 1000 / PAUSE_MS + 1
    assert all(int(one.headers["retry-after"]) >= 1 for one in slowed)
    assert good == [200] * 20
    time.sleep(PAUSE_MS / 1000)  # others' tests may send an unknown key
