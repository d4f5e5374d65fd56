"""crossdock projects."""

from support.management import Shell, make_project


def test_projects_are_listed(shell: Shell) -> None:
    shell.says({"data": [make_project()]})

    table = shell.run("projects", "list").out
    plain = shell.run("projects", "list", "--json").json

    assert all(word in table for word in ("proj_1", "production", "team=search"))
    assert plain == [make_project()]


def test_no_project_is_told_on_stderr(shell: Shell) -> None:
    shell.says({"data": []})

    outcome = shell.run("projects", "list")

    assert (outcome.code, outcome.out, outcome.err) == (0, "", "no projects\n")


def test_a_project_is_created_with_tags(shell: Shell) -> None:
    shell.says({"data": make_project()}, 201)

    outcome = shell.run("projects", "create", "production", "--tag", "team=search", "--json")

    assert shell.calls == [("POST", "/v1/projects")]
    assert shell.body == {"name": "production", "tags": {"team": "search"}}
    assert outcome.json == make_project()


def test_a_project_is_shown(shell: Shell) -> None:
    shell.says({"data": make_project()})

    outcome = shell.run("projects", "show", "proj_1")

    assert shell.calls == [("GET", "/v1/projects/proj_1")]
    assert "production" in outcome.out


def test_a_project_is_changed_where_it_is_said_only(shell: Shell) -> None:
    shell.says({"data": make_project(disabled=True)})

    shell.run("projects", "update", "proj_1", "--disable", "--tag", "")

    assert shell.calls == [("PATCH", "/v1/projects/proj_1")]
    assert shell.body == {"disabled": True, "tags": {}}


def test_a_tag_without_a_value_is_a_mistake(shell: Shell) -> None:
    outcome = shell.run("projects", "create", "production", "--tag", "team")

    assert (outcome.code, shell.asked) == (1, [])
    assert outcome.err == "crossdock: invalid --tag 'team': use KEY=VALUE\n"
