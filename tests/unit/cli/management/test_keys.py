"""crossdock keys: a plain key is shown once and alone, a list has all pages, a deletion is asked for."""

import sys
from hashlib import sha256

import httpx
import pytest

from crossdock.cli.management.keys import state_of
from support.management import HASH, PLAIN, Shell, Terminal, make_key

NOW_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z


def test_a_created_key_is_alone_on_stdout(shell: Shell) -> None:
    """So that `KEY=$(crossdock keys create ci)` is all that a script needs."""
    shell.says({"data": make_key(), "key": PLAIN}, 201)

    outcome = shell.run("keys", "create", "ci")

    assert (outcome.code, outcome.out) == (0, f"{PLAIN}\n")
    assert "key_1" in outcome.err
    assert "only now" in outcome.err
    assert PLAIN not in outcome.err
    assert shell.calls == [("POST", "/v1/keys")]
    assert shell.body == {"name": "ci"}


def test_a_command_comes_with_the_management_key(shell: Shell) -> None:
    shell.says({"data": make_key()})

    shell.run("keys", "show", "key_1")

    assert shell.asked[0].headers["authorization"] == "Bearer sk-manager"


def test_everything_about_a_new_key_is_said_at_once(shell: Shell) -> None:
    shell.says({"data": make_key(), "key": PLAIN}, 201)

    shell.run(
        *("keys", "create", "ci", "--project", "proj_2", "--role", "analyst"),
        *("--expires-in", "30d", "--tag", "team=search", "--tag", "note=a=b"),
        *("--allow-ip", "10.0.0.0/8", "--allow-ip", "::1/128"),
    )

    assert shell.body["expires_at"].endswith("Z")
    assert {name: value for name, value in shell.body.items() if name != "expires_at"} == {
        "name": "ci",
        "project_id": "proj_2",
        "role": "analyst",
        "tags": {"team": "search", "note": "a=b"},
        "allowed_ips": ["10.0.0.0/8", "::1/128"],
    }


@pytest.mark.parametrize(
    ("words", "limit"),
    [
        (["--limit", "12.50"], {"limit": "12.50"}),
        (["--limit", "0", "--limit-reset", "daily"], {"limit": "0", "limit_reset": "daily"}),
        (["--limit", "1", "--limit-reset", "total"], {"limit": "1"}),
    ],
    ids=["for ever", "daily", "for ever, in words"],
)
def test_a_new_key_may_have_a_limit(
    shell: Shell, words: list[str], limit: dict[str, object]
) -> None:
    shell.says({"data": make_key(), "key": PLAIN}, 201)

    shell.run("keys", "create", "ci", *words)

    assert shell.body == {"name": "ci"} | limit


@pytest.mark.parametrize("command", [["create", "ci"], ["update", "key_1"]], ids=" ".join)
def test_a_key_may_be_limited_in_requests_and_tokens_a_minute(
    shell: Shell, command: list[str]
) -> None:
    shell.says({"data": make_key(), "key": PLAIN}, 201)

    shell.run("keys", *command, "--rpm", "60", "--tpm", "90000")

    assert (shell.body["rpm"], shell.body["tpm"]) == (60, 90_000)


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (["--limit", "5"], {"limit": "5"}),
        (["--limit-reset", "weekly"], {"limit_reset": "weekly"}),
        (["--limit-reset", "total"], {"limit_reset": None}),
        (["--no-limit"], {"limit": None}),
        (["--no-limit", "--name", "ci 2"], {"limit": None, "name": "ci 2"}),
    ],
    ids=["amount", "window", "the endless window", "none", "none, and a name"],
)
def test_a_keys_limit_is_changed(shell: Shell, words: list[str], body: dict[str, object]) -> None:
    shell.says({"data": make_key()})

    shell.run("keys", "update", "key_1", *words)

    assert shell.body == body


@pytest.mark.parametrize("command", [["create", "ci"], ["update", "key_1"]], ids=" ".join)
@pytest.mark.parametrize("amount", ["", "-1", "ten", "0.0000001", "nan", "1e20"])
def test_a_limit_that_is_none_is_named(shell: Shell, command: list[str], amount: str) -> None:
    """And nothing is asked for: an unset variable in a script must not make a key without a limit."""
    outcome = shell.run("keys", *command, "--limit", amount)

    assert (outcome.code, shell.asked) == (1, [])
    assert outcome.err.startswith(f"crossdock: invalid --limit {amount!r}: use USD such as 12.50")


@pytest.mark.parametrize("more", [["--limit", "1"], ["--limit-reset", "daily"]], ids=" ".join)
def test_no_limit_and_a_limit_contradict_each_other(shell: Shell, more: list[str]) -> None:
    outcome = shell.run("keys", "update", "key_1", "--no-limit", *more)

    assert (outcome.code, shell.asked) == (1, [])
    assert "--no-limit" in outcome.err


@pytest.mark.parametrize(
    ("fields", "cells"),
    [
        ({}, "- -"),
        ({"limit": 10.0, "limit_remaining": 0.0}, "10 0"),
        (
            {"limit": 12.5, "limit_reset": "monthly", "limit_remaining": 1e-6},
            "12.5 monthly 0.000001",
        ),
    ],
    ids=["none", "for ever", "monthly"],
)
def test_a_list_shows_limits_and_what_is_left_of_them(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, fields: dict[str, object], cells: str
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shell.says({"data": [make_key(**fields)]})

    table = " ".join(shell.run("keys", "list").out.split())

    assert f"active {cells} - 2026-01-31" in table


@pytest.mark.parametrize("life", ["", "0", "soon"])
def test_a_life_that_is_none_makes_no_key(shell: Shell, life: str) -> None:
    """An unset variable in a script would else make a key that lives for ever."""
    outcome = shell.run("keys", "create", "ci", "--expires-in", life)

    assert outcome.code == 1
    assert outcome.err.startswith("crossdock: ")
    assert shell.asked == []


def test_for_programs_a_created_key_is_the_whole_answer(shell: Shell) -> None:
    shell.says({"data": make_key(), "key": PLAIN}, 201)

    outcome = shell.run("keys", "create", "ci", "--json")

    assert outcome.json == {"data": make_key(), "key": PLAIN}
    assert outcome.err == ""


def test_a_list_has_the_keys_of_all_pages(shell: Shell) -> None:
    keys = [make_key(id=f"key_{number}") for number in range(250)]

    def page(request: httpx.Request) -> httpx.Response:
        offset = int(request.url.params["offset"])
        return httpx.Response(200, json={"data": keys[offset : offset + 100]})

    shell.answer = page

    outcome = shell.run("keys", "list", "--json")

    assert outcome.json == keys
    assert [request.url.params["offset"] for request in shell.asked] == ["0", "100", "200"]


def test_a_full_last_page_is_followed_by_an_empty_one(shell: Shell) -> None:
    keys = [make_key()] * 100
    shell.answer = lambda request: httpx.Response(
        200, json={"data": keys if request.url.params["offset"] == "0" else []}
    )

    assert len(shell.run("keys", "list", "--json").json) == 100


def test_all_keys_are_those_out_of_use_too(shell: Shell) -> None:
    shell.says({"data": []})

    shell.run("keys", "list", "--all", "--project", "proj_1")
    outcome = shell.run("keys", "list")

    every, usual = (dict(request.url.params) for request in shell.asked)
    assert every == {
        "project_id": "proj_1",
        "include_disabled": "true",
        "include_expired": "true",
        "offset": "0",
    }
    assert usual == {"offset": "0"}
    assert (outcome.out, outcome.err) == ("", "no keys\n")


def test_a_narrow_terminal_cuts_no_id_and_no_time(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    long_id = "key_" + "x" * 60
    shell.says({"data": [make_key(id=long_id, name="n" * 255)]})

    outcome = shell.run("keys", "list")

    assert long_id in outcome.out
    assert "2026-01-31 12:00:00" in outcome.out
    assert outcome.out.count("n") >= 255


def test_a_name_is_text_and_steers_no_terminal(shell: Shell) -> None:
    shell.says({"data": [make_key(name="[red]\x1b[31mx")]})

    outcome = shell.run("keys", "list")

    assert "[red]?[31mx" in outcome.out


def test_a_key_is_disabled_and_loses_its_networks(shell: Shell) -> None:
    shell.says({"data": make_key(disabled=True)})

    outcome = shell.run("keys", "update", HASH, "--disable", "--allow-ip", "", "--tag", "a=b")

    assert shell.calls == [("PATCH", f"/v1/keys/{HASH}")]
    assert shell.body == {"disabled": True, "allowed_ips": [], "tags": {"a": "b"}}
    assert "disabled" in outcome.out


def test_a_key_is_enabled_again(shell: Shell) -> None:
    shell.says({"data": make_key()})

    shell.run("keys", "update", "key_1", "--enable", "--name", "ci 2")

    assert shell.body == {"disabled": False, "name": "ci 2"}


def test_an_update_of_nothing_is_a_mistake(shell: Shell) -> None:
    outcome = shell.run("keys", "update", "key_1")

    assert (outcome.code, shell.asked) == (1, [])
    assert "nothing to change" in outcome.err


def test_a_rotated_keys_successor_is_alone_on_stdout(shell: Shell) -> None:
    shell.says({"data": make_key(rotated_from="key_0"), "key": PLAIN}, 201)

    outcome = shell.run("keys", "rotate", "key_0", "--overlap", "90m")
    shell.run("keys", "rotate", "key_0")

    assert outcome.out == f"{PLAIN}\n"
    assert shell.calls[0] == ("POST", "/v1/keys/key_0/rotate")
    assert [request.content for request in shell.asked] == [
        b'{"overlap_s":5400}',
        b'{"overlap_s":86400}',
    ]


def test_a_deletion_without_anybody_to_ask_needs_yes(shell: Shell) -> None:
    outcome = shell.run("keys", "delete", "key_1")

    assert (outcome.code, shell.asked) == (1, [])
    assert outcome.err == (
        "crossdock: cannot ask for confirmation: stdin is not a terminal; pass --yes\n"
    )


def test_a_deletion_with_yes_asks_nobody(shell: Shell) -> None:
    shell.says({"deleted": True})

    outcome = shell.run("keys", "delete", "key_1", "--yes", "--json")

    assert shell.calls == [("DELETE", "/v1/keys/key_1")]
    assert outcome.json == {"deleted": True}


@pytest.mark.parametrize(
    ("said", "code", "last"),
    [("y\n", 0, "DELETE"), ("n\n", 1, "GET"), ("", 1, "GET")],
    ids=["yes", "no", "end of input"],
)
def test_a_person_is_asked_about_the_key_by_name(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, said: str, code: int, last: str
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(said))
    shell.says({"data": make_key(), "deleted": True})

    outcome = shell.run("keys", "delete", "key_1")

    assert outcome.code == code
    assert "delete key 'ci' (sk-cd-v1-pl...ain)?" in outcome.err
    assert shell.calls[-1][0] == last
    assert outcome.out == ""


def test_a_refusal_is_one_line_in_the_apis_words(shell: Shell) -> None:
    shell.says({"error": {"message": "This key may not create keys."}}, 403)

    outcome = shell.run("keys", "create", "ci")

    assert outcome.code == 1
    assert (outcome.out, outcome.err) == ("", "crossdock: This key may not create keys.\n")


def test_a_plain_key_never_gets_into_an_address(shell: Shell) -> None:
    """Addresses are logged. Who found a leaked key can still look it up."""
    shell.says({"data": make_key()})

    shell.run("keys", "show", PLAIN)

    assert shell.calls == [("GET", f"/v1/keys/{sha256(PLAIN.encode()).hexdigest()}")]


def test_an_id_is_one_part_of_the_address(shell: Shell) -> None:
    shell.says({"data": make_key()})

    shell.run("keys", "show", "key_1/rotate?x")
    outcome = shell.run("keys", "show", "")

    assert [request.url.raw_path for request in shell.asked] == [b"/v1/keys/key_1%2Frotate%3Fx"]
    assert outcome.code == 1


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, "active"),
        ({"disabled": True, "expires_at": "2025-12-31T00:00:00Z"}, "disabled"),
        ({"expires_at": "2026-01-01T00:00:00Z"}, "expired"),
        ({"expires_at": "2026-01-01T00:00:01Z"}, "active"),
    ],
    ids=["no end", "disabled", "ends now", "ends in a second"],
)
def test_a_keys_state_is_of_now(fields: dict[str, object], state: str) -> None:
    assert state_of(make_key(**fields), NOW_MS) == state


def test_a_limit_may_count_own_provider_keys(shell: Shell) -> None:
    shell.says({"data": make_key(), "key": PLAIN}, 201)

    shell.run("keys", "create", "ci", "--limit", "5", "--include-byok")
    made = shell.body
    shell.run("keys", "update", "key_1", "--exclude-byok")

    assert made == {"name": "ci", "limit": "5", "include_byok_in_limit": True}
    assert shell.body == {"include_byok_in_limit": False}
