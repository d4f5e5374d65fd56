"""Kind 4 of issue 16: no value makes a request, a list or a stage fail, and what was taken reaches ClickHouse."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from integration.ingress.calls import NO_ONES_OWN, kind_of
from support.attacks import Attacked
from support.edge_values import TEXTS, bodies, wrong
from support.effort import Effort
from support.openapi import operations
from support.victim import Victim, make_victim

LISTS = (
    "/v1/keys?include_disabled=true&include_expired=true", "/v1/key", "/v1/organization", "/v1/projects", "/v1/policies",
    "/v1/budgets", "/v1/presets", "/v1/byok", "/v1/credits", "/v1/credits/entries",
)  # fmt: skip
TIMES = (
    "9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "2299-12-31T23:59:59Z",
    "2200-01-01T00:00:00Z", "2199-12-31T23:59:59Z", "1969-12-31T23:59:59Z", "1900-01-01T00:00:00Z",
)  # fmt: skip
SLOW = {"create_batch", "list_batches", "create_organization", "stripe_webhook"}


@pytest.fixture(name="victim")
def _victim(attacked: Attacked) -> Iterator[Victim]:
    url = attacked.dock.addresses["OPENAI_BASE_URL"].removesuffix("/v1")
    with httpx.Client(base_url=url, timeout=60) as http:
        yield make_victim(attacked, http)


def test_times_at_the_edge_of_every_clock_are_refused_or_shown_and_inserted(
    attacked: Attacked, victim: Victim
) -> None:
    """One such time made the list of keys a 500 for ever, and one on a grant let metering crash in a loop."""
    with attacked.unharmed(audit=False):
        for number, at in enumerate(TIMES):
            key = victim.ask("POST", "/v1/keys", {"name": "k", "expires_at": at})
            body = {"kind": "grant", "amount_usd": 1, "reference": f"g{number}", "expires_at": at}
            operator = attacked.dock.data.owner_key()
            path = f"/v1/organizations/{victim.account}/credits"
            grant = victim.ask("POST", path, body, key=operator)
            is_taken = at.startswith("2199")
            assert key.status_code == (201 if is_taken else 400), (at, key.text)
            assert grant.status_code == (201 if is_taken else 400), (at, grant.text)
            assert unread(victim) == []
    attacked.dock.rest()
    (row,) = attacked.dock.rows(
        f"SELECT toString(max(expires_at)) FROM crossdock.journal FINAL WHERE account = '{victim.account}'"
    )
    assert row[0].startswith("2199-12-31 23:59:59")


def unread(victim: Victim) -> list[str]:
    """Return the lists that cannot be read."""
    found = [(path, victim.ask("GET", path).status_code) for path in LISTS]
    return [f"{path}: {status}" for path, status in found if status != 200]


def test_no_value_in_any_field_ends_a_stage_or_a_list(
    attacked: Attacked, victim: Victim, effort: Effort
) -> None:
    spare = victim.ask("POST", "/v1/keys", {"name": "spare"}).json()["data"]["id"]
    project = victim.ask("POST", "/v1/projects", {"name": "spare"}).json()["data"]["id"]
    ids = {
        "ProjectId": project,
        "OrganizationId": victim.account,
        "BudgetScopeId": "user%3Aa",
        "window": "daily",
    }
    faults: list[str] = []
    with attacked.unharmed():
        for method, path, operation in operations():
            if operation["operationId"] in SLOW:
                continue
            place = path
            for one in operation.get("parameters", ()):
                if one["in"] == "path" and one["name"] not in NO_ONES_OWN:
                    name = ids.get(kind_of(one["schema"]) or one["name"], spare)
                    place = place.replace(f"{{{one['name']}}}", name)
            key = victim.key if _is_for_inference(operation) else victim.owner
            for name, body in bodies(operation, effort(24, 6)):
                headers = {"authorization": f"Bearer {key}"}
                answer = victim.http.request(method, place, content=body, headers=headers)
                faults += (
                    [f"{method} {place} {name}: {answer.status_code}"] if wrong(answer) else []
                )
        faults += unread(victim)
        (shown,) = attacked.dock.rows(_last(victim))
    (logged,) = attacked.dock.rows(_last(victim))
    assert faults == []
    assert logged[0] == logged[1] >= shown[0]  # no change of the log is missing


def _last(victim: Victim) -> str:
    return f"SELECT count(), max(number) FROM crossdock.control_log FINAL WHERE account = '{victim.account}'"


def _is_for_inference(operation: dict[str, Any]) -> bool:
    return all("inferenceKey" in one for one in operation["security"])


def test_no_text_in_a_path_or_a_query_fails(
    attacked: Attacked, victim: Victim, effort: Effort
) -> None:
    paths = (
        "/v1/keys", "/v1/projects", "/v1/policies", "/v1/budgets", "/v1/presets/org_local", "/v1/byok",
        "/v1/organizations", "/v1/files", "/v1/batches", "/v1/uploads", "/v1/models",
    )  # fmt: skip
    faults: list[str] = []
    with attacked.unharmed(audit=False):
        for number, path in enumerate(paths):
            for text in TEXTS[number % effort(4, 1) :: effort(4, 1)]:
                key = victim.key if path in paths[-4:] else victim.owner
                headers = {"authorization": f"Bearer {key}"}
                for place, query in ((f"{path}/{_quoted(text)}", {}), (path, {"after": text, "limit": text, "offset": text})):  # fmt: skip
                    answer = victim.http.get(place, params=query or None, headers=headers)
                    faults += [f"{place[:80]} {text[:30]!r}: {answer.status_code}"] if wrong(answer) else []  # fmt: skip
    assert faults == []


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())
