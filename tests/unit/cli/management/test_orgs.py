"""crossdock orgs."""

import pytest

from support.management import PLAIN, Shell, make_organization


def test_the_organization_is_shown(shell: Shell) -> None:
    shell.says({"data": make_organization()})

    fields = shell.run("orgs", "show").out
    plain = shell.run("orgs", "show", "--json").json

    assert shell.calls[0] == ("GET", "/v1/organization")
    assert "acme" in fields
    assert plain == make_organization()


@pytest.mark.parametrize(("life", "life_s"), [("90d", 7_776_000), ("0", 0)])
def test_the_life_of_keys_is_limited_or_not(shell: Shell, life: str, life_s: int) -> None:
    shell.says({"data": make_organization()})

    shell.run("orgs", "update", "--max-key-life", life)

    assert shell.calls == [("PATCH", "/v1/organization")]
    assert shell.body == {"max_key_life_s": life_s}


def test_an_organization_gets_another_name_and_networks(shell: Shell) -> None:
    shell.says({"data": make_organization()})

    shell.run("orgs", "update", "--name", "acme 2", "--allow-ip", "10.0.0.0/8")

    assert shell.body == {"name": "acme 2", "allowed_ips": ["10.0.0.0/8"]}


def test_a_new_organizations_owner_key_is_alone_on_stdout(shell: Shell) -> None:
    shell.says({"data": make_organization(id="org_2"), "key": PLAIN}, 201)

    outcome = shell.run("orgs", "create", "globex", "--project", "production")

    assert outcome.out == f"{PLAIN}\n"
    assert "org_2" in outcome.err
    assert shell.calls == [("POST", "/v1/organizations")]
    assert shell.body == {"name": "globex", "project_name": "production"}
