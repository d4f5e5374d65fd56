"""crossdock policies test: the requests of the past under rules that are not in force."""

from pathlib import Path

import httpx
import pytest

from crossdock.audit.policy_replay import PastRequests
from crossdock.local.datadir import DataDir
from crossdock_schemas.pricing.catalogue import Catalogue, Offer, Provider
from crossdock_schemas.pricing.prices import Prices
from crossdock_schemas.pricing.worst_case import MAX_TOKENS
from support.management import HASH, Shell, make_key, make_organization, make_policy, make_project

CHAT = "/v1/chat/completions"
TERN = PastRequests("org_1", "proj_1", "key_1", "tern", CHAT, 14)
GULL = TERN._replace(model="gull", requests=6)
ELSEWHERE = TERN._replace(project="proj_2", key_id="key_2", requests=100)


def make_provider(name: str) -> Provider:
    offers = tuple(Offer(model=model, prices=Prices()) for model in ("tern", "gull"))
    return Provider(name=name, base_url="http://x", models=offers)


CATALOGUE = Catalogue(providers=(make_provider("atlas"), make_provider("cinder")))


def api(request: httpx.Request) -> httpx.Response:
    """Answer as an organization with a project, a key, and one policy of the organization."""
    present = make_policy(
        scope="org_1",
        allowed_models=None,
        ignored_providers=["cinder"],
        max_price={"prompt": None, "completion": None},
    )
    found = {
        "/v1/organization": make_organization(),
        "/v1/projects/proj_1": make_project(),
        "/v1/keys/key_1": make_key(),
        f"/v1/keys/{HASH}": make_key(),
        "/v1/policies": [present],
    }
    if request.url.path not in found:
        return httpx.Response(404, json={"error": {"message": "No such thing."}})
    return httpx.Response(200, json={"data": found[request.url.path]})


@pytest.fixture
def dock(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    """A running installation whose folder is the data dir."""
    monkeypatch.setenv("CLICKHOUSE_URL", "http://tables:8123")
    monkeypatch.setenv("COLUMNS", "300")
    data = DataDir(tmp_path)
    data.make()
    data.write_state({"addresses": {"OPENAI_BASE_URL": "http://dock/v1"}})
    (tmp_path / "catalogue.json").write_text(CATALOGUE.model_dump_json())
    shell.answer = api
    shell.past = [TERN, GULL, ELSEWHERE]
    return shell


def test_what_would_be_refused_is_told_with_the_rule_and_its_scope(dock: Shell) -> None:
    outcome = dock.run("policies", "test", "proj_1", "--ignore-model", "tern")

    lines = [" ".join(line.split()) for line in outcome.out.splitlines()]
    assert outcome.code == 0
    assert lines[-1] == "total: 14 of 20 requests of the last 24 h would be refused"
    assert lines[1:3] == [
        f"proj_1 key_1 tern {CHAT} 14 yes - "
        "ignored_models of proj_1: atlas/tern; ignored_providers of org_1: cinder/tern",
        f"proj_1 key_1 gull {CHAT} 6 no atlas/gull ignored_providers of org_1: cinder/gull",
    ]


def test_for_programs_it_is_json(dock: Shell) -> None:
    told = dock.run("policies", "test", "proj_1", "--ignore-model", "tern", "--json").json

    assert {name: told[name] for name in ("scope", "hours", "requests", "refused")} == {
        "scope": "proj_1",
        "hours": 24.0,
        "requests": 20,
        "refused": 14,
    }
    assert told["data"][1] == {
        "project_id": "proj_1",
        "key_id": "key_1",
        "model": "gull",
        "operation": CHAT,
        "requests": 6,
        "longer": 0,
        "refused": False,
        "permitted": ["atlas/gull"],
        "excluded": [
            {"endpoint": "cinder/gull", "scope": "org_1", "rule": "ignored_providers"},
        ],
    }


def test_nothing_is_changed(dock: Shell) -> None:
    dock.run("policies", "test", "proj_1", "--ignore-model", "tern")

    assert {method for method, _ in dock.calls} == {"GET"}


def test_requests_are_those_of_the_own_organization_in_the_hours(dock: Shell) -> None:
    dock.run("policies", "test", "organization", "--ignore-model", "x", "--hours", "1.5")

    assert dock.looks == [("http://tables:8123", "org_1", 1.5, MAX_TOKENS)]


def test_of_a_cap_it_is_told_how_many_answers_were_longer(dock: Shell) -> None:
    """What requests asked for is not recorded, so none is said to be refused for it."""
    dock.past = [TERN._replace(longer=3), GULL._replace(longer=1)]
    words = (
        "policies",
        "test",
        "proj_1",
        "--max-tokens",
        "100",
        "--no-tools",
        "--filter",
        "ssn=block",
    )

    text = dock.run(*words).out.splitlines()[-3:]
    told = dock.run(*words, "--json").json

    assert dock.looks[0][-1] == 100
    assert text[0] == "total: 0 of 20 requests of the last 24 h would be refused"
    assert text[1].startswith("max_tokens: 4 had answers of more than 100 tokens")
    assert text[2] == "not judged, because bodies are not recorded: tools, content_filter_builtins"
    assert (told["longer"], told["not_judged"]) == (4, ["tools", "content_filter_builtins"])


def test_tried_rules_stand_in_the_place_of_the_present_ones(dock: Shell) -> None:
    told = dock.run("policies", "test", "organization", "--ignore-model", "x", "--json").json

    assert (told["requests"], told["refused"]) == (120, 0)
    assert all(len(one["permitted"]) == 2 for one in told["data"])


def test_a_keys_hash_is_its_id(dock: Shell) -> None:
    told = dock.run("policies", "test", HASH, "--allow-provider", "", "--json").json

    assert (told["scope"], told["refused"]) == ("key_1", 20)


def test_without_requests_there_is_only_the_total(dock: Shell) -> None:
    dock.past = []

    outcome = dock.run("policies", "test", "proj_1", "--ignore-model", "tern")

    assert outcome.out == "total: 0 of 0 requests of the last 24 h would be refused\n"


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        pytest.param("proj_9", "No such thing.", id="a project"),
        pytest.param("key_9", "No such thing.", id="a key"),
        pytest.param("org_9", "invalid scope 'org_9': use `organization`", id="others"),
        pytest.param("production", "invalid scope 'production': use `organization`", id="a name"),
    ],
)
def test_a_scope_that_is_not_there_is_no_clean_result(dock: Shell, scope: str, said: str) -> None:
    """It would read as if the rules refused nothing."""
    outcome = dock.run("policies", "test", scope, "--ignore-model", "tern")

    assert (outcome.code, outcome.out, dock.looks) == (1, "", [])
    assert outcome.err.startswith(f"crossdock: {said}")


def test_another_catalogue_may_be_named(dock: Shell, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(Catalogue(providers=(make_provider("borealis"),)).model_dump_json())

    told = dock.run(
        *("policies", "test", "proj_1", "--ignore-model", "tern"),
        *("--catalogue", str(other), "--json"),
    ).json

    assert told["data"][1]["permitted"] == ["borealis/gull"]


def test_a_data_dirs_catalogue_is_for_its_own_installation_only(
    dock: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere/v1")

    outcome = dock.run("policies", "test", "proj_1", "--ignore-model", "tern")

    assert (outcome.code, dock.asked) == (1, [])
    assert outcome.err.startswith("crossdock: no catalogue for http://elsewhere/v1: pass ")


def test_a_catalogue_that_is_none_is_one_line(dock: Shell, tmp_path: Path) -> None:
    outcome = dock.run(
        *("policies", "test", "proj_1", "--ignore-model", "x"),
        *("--catalogue", str(tmp_path / "gone.json")),
    )

    assert outcome.code == 1
    assert outcome.err.startswith("crossdock: --catalogue: cannot read ")
    assert outcome.err.count("\n") == 1


def test_clickhouses_address_is_asked_for(dock: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLICKHOUSE_URL")

    outcome = dock.run("policies", "test", "proj_1", "--ignore-model", "tern")

    assert outcome.code == 1
    assert outcome.err == "crossdock: set CLICKHOUSE_URL: past requests are in ClickHouse\n"
