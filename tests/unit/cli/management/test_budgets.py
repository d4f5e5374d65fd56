"""crossdock budgets: an amount is exact, a window is named, and a removal is asked for."""

import sys
from typing import Any

import httpx
import pytest

from support.management import (
    HASH,
    Shell,
    Terminal,
    make_budget,
    make_key,
    make_organization,
)


def lines_of(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


@pytest.mark.parametrize(
    ("words", "path"),
    [(["list"], "/v1/budgets"), (["show", "proj_1"], "/v1/budgets/proj_1")],
    ids=["all", "of one scope"],
)
def test_budgets_are_shown_with_what_is_left(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, words: list[str], path: str
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    found = [make_budget(), make_budget(window="total", resets_at=None)]
    shell.says({"data": found})

    head, *rows = lines_of(shell.run("budgets", *words).out)
    plain = shell.run("budgets", *words, "--json").json

    assert (
        head == "scope level window limit USD overshoot USD spend USD held USD remaining USD resets"
    )
    assert rows == [
        "proj_1 project daily 12.50 0 2.25 0.25 10.00 2026-02-01T00:00:00Z",
        "proj_1 project total 12.50 0 2.25 0.25 10.00 -",
    ]
    assert plain == found
    assert shell.calls == [("GET", path)] * 2


@pytest.mark.parametrize("words", [["list"], ["show", "proj_1"]], ids=" ".join)
def test_no_budget_is_told_on_stderr(shell: Shell, words: list[str]) -> None:
    shell.says({"data": []})

    outcome = shell.run("budgets", *words)

    assert (outcome.code, outcome.out, outcome.err) == (0, "", "no budgets\n")
    assert shell.run("budgets", *words, "--json").json == []


def test_a_narrow_terminal_cuts_no_scope_and_no_amount(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    scope = "key_" + "x" * 60
    shell.says({"data": [make_budget(scope=scope, level="organization")]})

    outcome = shell.run("budgets", "list")

    assert scope in outcome.out
    assert "organization" in outcome.out
    assert "2026-02-01T00:00:00Z" in outcome.out


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("proj_1", ["budgets/proj_1/daily"]),
        ("organization", ["organization", "budgets/org_1/daily"]),
        (HASH, [f"keys/{HASH}", "budgets/key_1/daily"]),
    ],
    ids=["an id", "one's own", "a key's hash"],
)
def test_a_scope_has_several_names(shell: Shell, name: str, places: list[str]) -> None:
    entries: dict[str, Any] = {
        "organization": make_organization(),
        "keys": make_key(),
        "budgets": make_budget(),
    }
    shell.answer = lambda request: httpx.Response(
        200, json={"data": entries[request.url.path.split("/")[2]]}
    )

    shell.run("budgets", "set", name, "1", "--window", "daily")

    assert [path for _, path in shell.calls] == [f"/v1/{place}" for place in places]


@pytest.mark.parametrize(
    ("amount", "said"),
    [("12.50", "12.50"), ("0", "0"), ("1e3", "1000"), ("0.000001", "0.000001")],
)
def test_an_amount_is_sent_to_the_last_digit(shell: Shell, amount: str, said: str) -> None:
    shell.says({"data": make_budget()})

    outcome = shell.run("budgets", "set", "proj_1", amount, "--window", "daily", "--json")

    assert shell.calls == [("PATCH", "/v1/budgets/proj_1/daily")]
    assert shell.body == {"limit_usd": said}
    assert outcome.json == make_budget()


@pytest.mark.parametrize(
    ("scope", "address"),
    [
        ("user:alice", "user%3Aalice"),
        ("user:a/b?", "user%3Aa%2Fb%3F"),
        ("tag:team=search", "tag%3Ateam%3Dsearch"),
        ("tag:a=b=c", "tag%3Aa%3Db%3Dc"),
    ],
)
def test_an_end_user_and_a_tag_are_named_as_they_are(
    shell: Shell, scope: str, address: str
) -> None:
    shell.says({"data": make_budget(scope=scope)})

    shell.run("budgets", "set", scope, "1")

    raw = shell.asked[-1].url.raw_path.decode()
    assert raw == f"/v1/budgets/{address}/total"


def test_a_budget_is_replaced_as_a_whole_by_a_flag(shell: Shell) -> None:
    shell.says({"data": make_budget()})

    shell.run("budgets", "set", "proj_1", "5", "--replace")

    assert shell.calls == [("PUT", "/v1/budgets/proj_1/total")]
    assert shell.body == {"limit_usd": "5"}


def test_what_was_set_is_shown(shell: Shell) -> None:
    shell.says({"data": make_budget()})

    outcome = shell.run("budgets", "set", "proj_1", "12.50")

    assert shell.calls == [("PATCH", "/v1/budgets/proj_1/total")]
    assert "12.50" in outcome.out


@pytest.mark.parametrize("amount", ["", "ten", "0.0000001", "nan", "$5", "1e20"])
def test_what_is_no_amount_sets_nothing(shell: Shell, amount: str) -> None:
    outcome = shell.run("budgets", "set", "proj_1", amount)

    assert (outcome.code, shell.asked) == (1, [])
    assert outcome.err.startswith(f"crossdock: invalid AMOUNT {amount!r}: use USD such as 12.50")
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["set", "proj_1", "1", "--window", "yearly"],
        ["clear", "proj_1", "--window", "yearly", "--yes"],
        ["clear", "proj_1", "--yes"],
    ],
    ids=["another window to set", "another window to clear", "no window to clear"],
)
def test_a_window_is_one_that_there_is(shell: Shell, words: list[str]) -> None:
    outcome = shell.run("budgets", *words)

    assert (outcome.code, shell.asked) == (2, [])
    assert "--window" in outcome.err


def test_a_removal_without_anybody_to_ask_needs_yes(shell: Shell) -> None:
    outcome = shell.run("budgets", "clear", "proj_1", "--window", "daily")

    assert (outcome.code, shell.asked) == (1, [])
    assert outcome.err == (
        "crossdock: cannot ask for confirmation: stdin is not a terminal; pass --yes\n"
    )


def test_a_removal_with_yes_asks_nobody(shell: Shell) -> None:
    shell.says({"deleted": True})
    words = ("budgets", "clear", "proj_1", "--window", "daily", "--yes")

    told = shell.run(*words).err
    plain = shell.run(*words, "--json").json

    assert shell.calls == [("DELETE", "/v1/budgets/proj_1/daily")] * 2
    assert (told, plain) == ("cleared\n", {"deleted": True})


@pytest.mark.parametrize(
    ("said", "code", "last"), [("y\n", 0, "DELETE"), ("n\n", 1, "GET")], ids=["yes", "no"]
)
def test_a_person_is_asked_about_scope_and_amount(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, said: str, code: int, last: str
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(said))
    shell.says({"data": [make_budget(window="total"), make_budget()], "deleted": True})

    outcome = shell.run("budgets", "clear", "proj_1", "--window", "daily")

    assert outcome.code == code
    assert "clear the daily budget of the project 'proj_1', 12.50 USD?" in outcome.err
    assert shell.calls[-1][0] == last


def test_nobody_is_asked_about_a_budget_that_is_none(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    shell.says({"data": [make_budget()]})

    outcome = shell.run("budgets", "clear", "proj_1", "--window", "weekly")

    assert (outcome.code, outcome.err) == (1, "crossdock: 'proj_1' has no weekly budget\n")
    assert shell.calls == [("GET", "/v1/budgets/proj_1")]


@pytest.mark.parametrize(
    ("words", "said"), [(("--include-byok",), True), (("--exclude-byok",), False)]
)
def test_a_budget_may_count_own_provider_keys(
    shell: Shell, words: tuple[str, ...], said: bool
) -> None:
    shell.says({"data": make_budget()})

    shell.run("budgets", "set", "proj_1", "12.50", *words)

    assert shell.body == {"limit_usd": "12.50", "include_byok": said}


def test_a_budget_may_be_fluid(shell: Shell) -> None:
    shell.says({"data": make_budget(overshoot_usd="1.5")})

    outcome = shell.run("budgets", "set", "proj_1", "12.50", "--overshoot", "1.50")

    assert shell.body == {"limit_usd": "12.50", "overshoot_usd": "1.50"}
    assert " 1.5 " in outcome.out


def test_an_overshoot_is_an_amount(shell: Shell) -> None:
    outcome = shell.run("budgets", "set", "proj_1", "12.50", "--overshoot", "much")

    assert outcome.code == 1
    assert "invalid --overshoot 'much': use USD such as 12.50" in outcome.err
