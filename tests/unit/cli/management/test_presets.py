"""crossdock presets: named settings, set as a whole."""

from pathlib import Path

import pytest

from support.management import Shell, make_organization, make_preset


def test_presets_are_listed_briefly(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "220")
    found = [make_preset(system="x" * 50), make_preset(slug="plain", system=None, parameters={})]
    shell.says({"data": found})

    table = shell.run("presets", "list").out
    plain = shell.run("presets", "list", "--json").json

    assert "temperature=0.5" in table
    assert f"{'x' * 40}..." in table
    assert plain == found
    assert shell.calls == [("GET", "/v1/presets")] * 2


def test_no_preset_is_told_on_stderr(shell: Shell) -> None:
    shell.says({"data": []})

    outcome = shell.run("presets", "list")

    assert (outcome.code, outcome.out, outcome.err) == (0, "", "no presets\n")


def test_a_preset_is_shown(shell: Shell) -> None:
    shell.says({"data": make_preset()})

    outcome = shell.run("presets", "show", "org_1", "brief")

    assert "Be brief." in outcome.out
    assert shell.calls == [("GET", "/v1/presets/org_1/brief")]


def test_a_preset_is_set_as_a_whole(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "system.txt").write_text("Be brief.")
    shell.says({"data": make_preset()})

    outcome = shell.run(
        *("presets", "set", "org_1", "brief", "--model", "tern-mini", "--description", "short"),
        *("--parameter", "temperature=0.5", "--parameter", 'stop=["x"]', "--parameter", "user=me"),
        *("--system", f"@{tmp_path / 'system.txt'}", "--replace"),
    )

    assert outcome.code == 0
    assert shell.calls == [("PUT", "/v1/presets/org_1/brief")]
    assert shell.body == {
        "model": "tern-mini",
        "parameters": {"temperature": 0.5, "stop": ["x"], "user": "me"},
        "system": "Be brief.",
        "description": "short",
    }


def test_what_is_not_said_stays(shell: Shell) -> None:
    shell.says({"data": make_preset()})

    shell.run("presets", "set", "org_1", "brief", "--system", "Be kind.", "--parameter", "top_p=1")
    nothing = shell.run("presets", "set", "org_1", "brief")

    assert shell.calls == [("PATCH", "/v1/presets/org_1/brief")]
    assert shell.body == {"system": "Be kind.", "parameters": {"top_p": 1}}
    assert nothing.code == 1


def test_what_is_not_said_is_not_kept_where_the_whole_is_replaced(shell: Shell) -> None:
    shell.says({"data": make_preset()})

    shell.run("presets", "set", "org_1", "brief", "--system", "Be kind.", "--replace")

    assert shell.body == {
        "model": None,
        "parameters": {},
        "system": "Be kind.",
        "description": None,
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--parameter", "temperature"), ": use NAME=JSON"),
        (("--parameter", "=1"), ": use NAME=JSON"),
        (("--system", "@/nowhere/system.txt"), "cannot read '/nowhere/system.txt'"),
    ],
)
def test_what_cannot_be_read_is_told(shell: Shell, words: tuple[str, ...], said: str) -> None:
    outcome = shell.run("presets", "set", "org_1", "brief", *words)

    assert outcome.code == 1
    assert said in outcome.err
    assert shell.calls == []


def test_the_own_organization_has_a_name(shell: Shell) -> None:
    shell.says({"data": make_organization() | make_preset()})

    shell.run("presets", "show", "organization", "brief")

    assert shell.calls[0] == ("GET", "/v1/organization")


def test_a_preset_is_cleared_once_somebody_is_sure(shell: Shell) -> None:
    shell.says({"deleted": True})

    unsure = shell.run("presets", "clear", "org_1", "brief")
    sure = shell.run("presets", "clear", "org_1", "brief", "--yes")
    plain = shell.run("presets", "clear", "org_1", "brief", "--yes", "--json").json

    assert unsure.code != 0
    assert (sure.code, sure.err) == (0, "cleared\n")
    assert plain == {"deleted": True}
    assert shell.calls == [("DELETE", "/v1/presets/org_1/brief")] * 2
