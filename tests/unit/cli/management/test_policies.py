"""crossdock policies: a policy is set as a whole, by options that cannot be mistaken."""

import json
import sys
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import httpx
import pytest

from support.management import (
    HASH,
    PLAIN,
    Answer,
    Shell,
    Terminal,
    make_key,
    make_organization,
    make_policy,
)


def answering(**by_place: object) -> Answer:
    """Answer with an entry for each place, the first part of the path."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"data": by_place[request.url.path.split("/")[2]]})

    return answer


def test_policies_are_listed_with_what_they_demand(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shell.says({"data": [make_policy()]})

    table = shell.run("policies", "list").out
    plain = shell.run("policies", "list", "--json").json

    said = "allowed_models: tern-*; ignored_providers: cinder; max_prompt_price: 0.5"
    assert said in " ".join(table.split())
    assert all(word in table for word in ("proj_1", "project", "7"))
    assert plain == [make_policy()]
    assert shell.calls == [("GET", "/v1/policies")] * 2


def test_in_a_list_all_and_nothing_do_not_look_the_same(shell: Shell) -> None:
    shell.says({"data": [make_policy(allowed_models=[], allowed_providers=None)]})

    outcome = shell.run("policies", "list")

    assert "allowed_models: nothing" in outcome.out
    assert "allowed_providers" not in outcome.out


def test_what_is_demanded_of_requests_is_listed(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shell.says({"data": [make_policy(max_tokens=4096, tools="deny")]})

    table = shell.run("policies", "list").out

    assert "tools: deny; max_tokens: 4096" in " ".join(table.split())


def test_what_is_looked_for_is_shown_as_it_was_said(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    own = [
        {"pattern": "E-[0-9]{6}", "action": "redact", "label": "staff"},
        {"pattern": "x", "action": "flag", "label": None},
    ]
    builtins = [{"slug": "email", "action": "block"}]
    entry = make_policy(content_filter_builtins=builtins, content_filters=own)
    shell.says({"data": [entry]})
    table = shell.run("policies", "list").out
    shell.says({"data": entry})
    shown = shell.run("policies", "show", "proj_1").out

    for text in (table, shown):
        assert "email=block" in text
        assert "staff:redact=E-[0-9]{6}, flag=x" in text


def test_no_policy_is_told_on_stderr(shell: Shell) -> None:
    shell.says({"data": []})

    outcome = shell.run("policies", "list")

    assert (outcome.code, outcome.out, outcome.err) == (0, "", "no policies\n")


def test_a_policy_is_shown(shell: Shell) -> None:
    shell.says({"data": make_policy(allowed_providers=[])})

    shown = shell.run("policies", "show", "proj_1").out
    plain = shell.run("policies", "show", "proj_1", "--json").json

    assert shell.calls == [("GET", "/v1/policies/proj_1")] * 2
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "allowed_models tern-*" in lines
    assert "allowed_providers nothing" in lines
    assert "max_price prompt=0.5" in lines
    assert plain == make_policy(allowed_providers=[])


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        pytest.param("proj_1", ["policies/proj_1"], id="an id"),
        pytest.param("organization", ["organization", "policies/org_1"], id="one's own"),
        pytest.param(HASH, [f"keys/{HASH}", "policies/key_1"], id="a key's hash"),
        pytest.param(
            PLAIN,
            [f"keys/{sha256(PLAIN.encode()).hexdigest()}", "policies/key_1"],
            id="a plain key, which gets into no address",
        ),
    ],
)
def test_a_scope_has_several_names(shell: Shell, name: str, calls: list[str]) -> None:
    shell.answer = answering(
        organization=make_organization(), keys=make_key(), policies=make_policy()
    )

    shell.run("policies", "show", name)

    assert [path for _, path in shell.calls] == [f"/v1/{place}" for place in calls]


def test_everything_about_a_policy_is_said_at_once(shell: Shell) -> None:
    shell.says({"data": make_policy()})

    outcome = shell.run(
        *("policies", "set", "proj_1", "--allow-model", "tern-*", "--allow-model", "gull"),
        *("--ignore-model", "*-preview", "--allow-provider", "sim-*"),
        *("--ignore-provider", "cinder", "--max-prompt-price", "0.50"),
        *("--max-completion-price", "2", "--json"),
    )

    assert shell.calls == [("PATCH", "/v1/policies/proj_1")]
    assert shell.body == {
        "allowed_models": ["tern-*", "gull"],
        "ignored_models": ["*-preview"],
        "allowed_providers": ["sim-*"],
        "ignored_providers": ["cinder"],
        "max_price": {"prompt": "0.50", "completion": "2"},
    }
    assert outcome.json == make_policy()


@pytest.mark.parametrize(
    ("words", "body"),
    [
        pytest.param(
            ["--ignore-model", "gull"], {"ignored_models": ["gull"]}, id="no list, no price"
        ),
        pytest.param(
            ["--max-prompt-price", "1e3"], {"max_price": {"prompt": "1000"}}, id="one price"
        ),
        pytest.param(
            ["--no-training", "--zdr", "--max-request-price", "0.01"],
            {"data_collection": "deny", "zdr": True, "max_price": {"request": "0.01"}},
            id="of data",
        ),
        pytest.param(
            ["--allow-region", "europe", "--quantization", "fp8", "--quantization", "bf16"],
            {"allowed_data_regions": ["europe"], "quantizations": ["fp8", "bf16"]},
            id="of places and precisions",
        ),
        pytest.param(
            ["--max-tokens", "4096", "--no-tools"],
            {"max_tokens": 4096, "tools": "deny"},
            id="of requests",
        ),
        pytest.param(
            ["--filter", "email=redact", "--filter", "ssn=block"],
            {
                "content_filter_builtins": [
                    {"slug": "email", "action": "redact"},
                    {"slug": "ssn", "action": "block"},
                ]
            },
            id="of data in requests",
        ),
        pytest.param(
            ["--filter-pattern", "staff:redact=E-[0-9]{6}", "--filter-pattern", "flag=a=b:c"],
            {
                "content_filters": [
                    {"pattern": "E-[0-9]{6}", "action": "redact", "label": "staff"},
                    {"pattern": "a=b:c", "action": "flag"},
                ]
            },
            id="of own patterns",
        ),
        pytest.param(
            ["--max-completion-price", "0"], {"max_price": {"completion": "0"}}, id="what is free"
        ),
        pytest.param(["--allow-model", ""], {"allowed_models": []}, id="none of the models"),
        pytest.param(["--allow-provider", ""], {"allowed_providers": []}, id="no provider"),
    ],
)
def test_what_is_not_said_is_not_demanded(
    shell: Shell, words: list[str], body: Mapping[str, Any]
) -> None:
    shell.says({"data": make_policy()})

    outcome = shell.run("policies", "set", "proj_1", *words)

    assert (outcome.code, shell.body) == (0, body)


@pytest.mark.parametrize("command", ["set", "test"])
def test_without_a_rule_it_says_what_to_do(shell: Shell, command: str) -> None:
    outcome = shell.run("policies", command, "proj_1")

    assert (outcome.code, shell.asked) == (1, [])
    assert "pass at least one option, see --help" in outcome.err
    assert "`crossdock policies clear`" in outcome.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["--ignore-model", ""], "--ignore-model '': ", id="an unset variable"),
        pytest.param(["--ignore-provider", ""], "--ignore-provider '': ", id="another one"),
        pytest.param(["--allow-model", "a b"], "--allow-model 'a b': ", id="a space"),
        pytest.param(["--max-tokens", "0"], "--max-tokens 0: ", id="no tokens"),
        pytest.param(["--filter", "email"], "--filter 'email': use NAME=ACTION", id="no action"),
        pytest.param(["--filter", "name=flag"], "--filter 'name': ", id="no detector"),
        pytest.param(["--filter", "email=x"], "--filter 'x': ", id="another action"),
        pytest.param(
            ["--filter-pattern", "a"], "--filter-pattern 'a': use [LABEL:]", id="no pattern"
        ),
        pytest.param(["--filter-pattern", "flag="], "--filter-pattern '': ", id="an empty pattern"),
        pytest.param(
            ["--allow-model", "a", "--allow-model", ""], "--allow-model '': ", id="one of two"
        ),
        pytest.param(["--max-prompt-price", "cheap"], "--max-prompt-price 'cheap': ", id="a word"),
        pytest.param(["--max-prompt-price", ""], "--max-prompt-price '': ", id="no price"),
        pytest.param(
            ["--max-completion-price", "-1"], "--max-completion-price '-1': ", id="below nothing"
        ),
        pytest.param(["--ignore-model", "x"] * 101, "--ignore-model: ", id="too many"),
    ],
)
def test_a_rule_that_is_none_is_named_by_its_option(
    shell: Shell, words: list[str], said: str
) -> None:
    """And nothing is set: an unset variable in a script must not open what it should shut."""
    outcome = shell.run("policies", "set", "proj_1", *words)

    assert (outcome.code, shell.asked) == (1, [])
    assert outcome.err.startswith(f"crossdock: invalid {said}")
    assert outcome.err.count("\n") == 1


def test_rules_that_are_not_named_stay_unless_the_whole_is_replaced(shell: Shell) -> None:
    """Kind 10 of issue 16: `--filter` undid `--ignore-provider`."""
    shell.says({"data": make_policy()})
    words = ("policies", "set", "proj_1", "--filter", "email=redact")

    shell.run(*words)
    shell.run(*words, "--replace")

    body = {"content_filter_builtins": [{"slug": "email", "action": "redact"}]}
    assert [call[0] for call in shell.calls] == ["PATCH", "PUT"]
    assert [json.loads(request.content) for request in shell.asked] == [body, body]


def test_rules_are_lifted_by_their_options_names(shell: Shell) -> None:
    shell.says({"data": make_policy()})

    shell.run("policies", "set", "proj_1", "--lift", "zdr", "--lift", "max-prompt-price", "--max-completion-price", "2")  # fmt: skip
    alone = shell.run("policies", "set", "proj_1", "--lift", "--ignore-provider")
    wrong = [
        shell.run("policies", "set", "proj_1", "--lift", "everything"),
        shell.run("policies", "set", "proj_1", "--replace", "--lift", "zdr"),
        shell.run("policies", "set", "proj_1"),
    ]

    assert json.loads(shell.asked[0].content) == {"zdr": None, "max_price": {"completion": "2", "prompt": None}}  # fmt: skip
    assert (alone.code, json.loads(shell.asked[1].content)) == (0, {"ignored_providers": None})
    assert ([one.code for one in wrong], len(shell.asked)) == ([1, 1, 1], 2)


def test_a_removal_without_anybody_to_ask_needs_yes(shell: Shell) -> None:
    outcome = shell.run("policies", "clear", "proj_1")

    assert (outcome.code, shell.asked) == (1, [])
    assert outcome.err == (
        "crossdock: cannot ask for confirmation: stdin is not a terminal; pass --yes\n"
    )


def test_a_removal_with_yes_asks_nobody(shell: Shell) -> None:
    shell.says({"deleted": True})

    told = shell.run("policies", "clear", "proj_1", "--yes").err
    plain = shell.run("policies", "clear", "proj_1", "--yes", "--json").json

    assert shell.calls == [("DELETE", "/v1/policies/proj_1")] * 2
    assert (told, plain) == ("cleared\n", {"deleted": True})


@pytest.mark.parametrize(
    ("said", "code", "last"), [("y\n", 0, "DELETE"), ("n\n", 1, "GET")], ids=["yes", "no"]
)
def test_a_person_is_asked_about_the_scope(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, said: str, code: int, last: str
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(said))
    shell.says({"data": make_policy(), "deleted": True})

    outcome = shell.run("policies", "clear", "proj_1")

    assert outcome.code == code
    assert "clear the policy of the project 'proj_1'?" in outcome.err
    assert shell.calls[-1][0] == last
