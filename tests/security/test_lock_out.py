"""Kind 5 of issue 16: an organization does not lock itself out for good."""

from collections.abc import Iterator

import httpx
import pytest

from support.attacks import Attacked
from support.dock import crossdock
from support.victim import Json, Victim, make_victim


@pytest.fixture(name="victim")
def _victim(attacked: Attacked) -> Iterator[Victim]:
    url = attacked.dock.addresses["OPENAI_BASE_URL"].removesuffix("/v1")
    with httpx.Client(base_url=url, timeout=30) as http:
        yield make_victim(attacked, http)


def ways_out(victim: Victim) -> list[tuple[str, str, Json | None]]:
    """Return every change that would lock the owner out."""
    own = victim.ask("GET", "/v1/key").json()["data"]
    key, project = f"/v1/keys/{own['id']}", f"/v1/projects/{own['project_id']}"
    return [
        ("PATCH", project, {"disabled": True}),
        ("PATCH", "/v1/organization", {"allowed_ips": ["10.99.0.0/16"]}),
        ("PATCH", "/v1/organization", {"allowed_ips": ["2001:db8::/32"]}),
        ("PATCH", key, {"allowed_ips": ["10.99.0.0/16"]}),
        ("PATCH", key, {"disabled": True}),
        ("DELETE", key, None),
        ("POST", f"{key}/rotate", {"overlap_s": 0}),
    ]


def test_every_way_out_is_refused_with_its_reason(attacked: Attacked, victim: Victim) -> None:
    with attacked.unharmed(audit=False):
        for method, path, body in ways_out(victim):
            refused = victim.ask(method, path, body)

            assert refused.status_code == 409, (path, body, refused.text)
            assert "force=lock_out" in refused.json()["error"]["message"]
            assert victim.ask("GET", "/v1/key").status_code == 200
    assert victim.ask("PATCH", "/v1/organization", {"allowed_ips": ["127.0.0.0/8"]}).is_success


def test_the_last_owners_key_does_not_become_one_that_expires(victim: Victim) -> None:
    own = victim.ask("GET", "/v1/key").json()["data"]["id"]
    assert victim.ask("PATCH", "/v1/organization", {"max_key_life_s": 60}).is_success

    rotated = victim.ask("POST", f"/v1/keys/{own}/rotate", {"overlap_s": 86_400})
    listed = victim.ask("GET", "/v1/keys").json()["data"]

    assert rotated.status_code == 409
    assert [key["expires_at"] for key in listed if key["role"] == "owner"] == [None]


def test_an_admin_cannot_switch_off_an_owners_project(victim: Victim) -> None:
    own = victim.ask("GET", "/v1/key").json()["data"]
    admin = victim.ask("POST", "/v1/keys", {"name": "a", "role": "admin"}).json()["key"]

    for query in ("", "?force=lock_out"):
        path = f"/v1/projects/{own['project_id']}{query}"
        assert victim.ask("PATCH", path, {"disabled": True}, key=admin).status_code == 403


def test_what_was_forced_is_recovered_at_the_machine_and_logged(
    attacked: Attacked, victim: Victim
) -> None:
    own = victim.ask("GET", "/v1/key").json()["data"]
    project = f"/v1/projects/{own['project_id']}?force=lock_out"
    folder = str(attacked.dock.data.path)
    with attacked.unharmed(audit=False):
        assert victim.ask("PATCH", "/v1/organization?force=lock_out", {"allowed_ips": ["10.99.0.0/16"]}).is_success  # fmt: skip
        assert victim.ask("GET", "/v1/key").status_code == 403

        first = crossdock("recover", victim.account, "--data-dir", folder)
        assert first.returncode == 0, first.stderr
        victim.owner = first.stdout.strip()
        shown = victim.ask("GET", "/v1/key")
        assert (shown.status_code, shown.json()["data"]["role"]) == (200, "owner")

        assert victim.ask("PATCH", project, {"disabled": True}).is_success
        assert victim.ask("GET", "/v1/key").status_code == 403
        assert victim.chat().status_code == 403
        second = crossdock("recover", victim.account, "--data-dir", folder)
        victim.owner = second.stdout.strip()
        assert victim.chat().status_code == 200
        nothing = crossdock("recover", "org_none", "--data-dir", folder)
        assert (nothing.returncode, nothing.stdout) == (1, "")
    logged = attacked.dock.rows(
        "SELECT action, after['forced'] != '', refusal FROM crossdock.control_log FINAL "
        f"WHERE account = '{victim.account}' AND (action = 'recover' OR mapContains(after, 'forced')) ORDER BY number"
    )
    assert logged == [
        ["change_organization", 1, ""],
        ["recover", 0, ""],
        ["change_project", 1, ""],
        ["recover", 0, ""],
    ]
