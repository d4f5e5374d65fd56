"""crossdock credits: amounts have their command's sign, and a reference makes it safe to try again."""

import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from support.management import Shell, make_credit, make_organization, make_worth

BOOKINGS = ("top-up", "grant", "adjust", "refund")


def test_what_the_credits_came_to_is_shown(shell: Shell) -> None:
    shell.says({"data": make_worth()})

    fields = shell.run("credits", "show").out
    plain = shell.run("credits", "show", "--json").json

    assert shell.calls == [("GET", "/v1/credits")] * 2
    assert "87.5" in fields
    assert "20.5 at 2026-03-31T12:00:00Z" in fields
    assert plain == make_worth()


@pytest.mark.parametrize(
    ("words", "paths"),
    [
        ([], ["credits/entries"]),
        (["--org", "org_2"], ["organizations/org_2/credits"]),
        (["--org", "organization"], ["organization", "organizations/org_1/credits"]),
    ],
    ids=["one's own", "another's", "one's own, as the operator sees it"],
)
def test_credits_are_listed_as_they_come(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, words: list[str], paths: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    found = [
        make_credit(note="card", expires_at="2026-04-30T12:00:00Z"),
        make_credit(kind="refund", amount_usd="-5", fee_usd="0"),
    ]
    shell.answer = lambda request: httpx.Response(
        200,
        json={"data": make_organization() if request.url.path == "/v1/organization" else found},
    )

    told = [" ".join(line.split()) for line in shell.run("credits", "list", *words).out.splitlines()]  # fmt: skip
    asked = [path for _, path in shell.calls]
    plain = shell.run("credits", "list", *words, "--json").json

    assert told == [
        "at kind amount USD fee USD expires reference note id",
        "2026-01-31T12:00:00Z top_up 100 5.5 2026-04-30T12:00:00Z invoice-17 card credit_1",
        "2026-01-31T12:00:00Z refund -5 0 - invoice-17 - credit_1",
    ]
    assert plain == found
    assert asked == [f"/v1/{path}" for path in paths]


def test_no_credit_is_told_on_stderr(shell: Shell) -> None:
    shell.says({"data": []})

    outcome = shell.run("credits", "list")

    assert (outcome.code, outcome.out, outcome.err) == (0, "", "no credits\n")
    assert shell.run("credits", "list", "--json").json == []


@pytest.mark.parametrize(
    ("words", "kind", "amount"),
    [
        (["top-up", "org_2", "12.50"], "top_up", "12.50"),
        (["grant", "org_2", "1e3"], "grant", "1000"),
        (["adjust", "org_2", "5"], "adjustment", "5"),
        (["adjust", "org_2", "-5.25"], "adjustment", "-5.25"),
        (["refund", "org_2", "5"], "refund", "-5"),
    ],
    ids=["paid for", "given", "corrected up", "corrected down", "paid back"],
)
def test_an_amount_is_sent_with_its_sign(
    shell: Shell, words: list[str], kind: str, amount: str
) -> None:
    shell.says({"data": make_credit()}, 201)
    more = ("--reference", "invoice-17", "--note", "thanks", "--json")

    outcome = shell.run("credits", *words, *more)

    assert shell.calls == [("POST", "/v1/organizations/org_2/credits")]
    assert shell.body == {
        "kind": kind,
        "amount_usd": amount,
        "reference": "invoice-17",
        "note": "thanks",
    }
    assert (outcome.json, outcome.err) == (make_credit(), "")


@pytest.mark.parametrize("command", BOOKINGS)
def test_a_random_reference_is_told_before_it_is_needed(shell: Shell, command: str) -> None:
    """Whoever gets no answer can ask again with it."""
    shell.says({"error": {"message": "away"}}, 400)

    outcomes = [shell.run("credits", command, "org_2", "5") for _ in range(2)]

    told = [re.findall(r"reference: (cli-[0-9a-f]{16}) ", outcome.err) for outcome in outcomes]
    assert [outcome.code for outcome in outcomes] == [1, 1]
    assert told[1] == [shell.body["reference"]]
    assert told[0] != told[1]


@pytest.mark.parametrize("command", BOOKINGS)
@pytest.mark.parametrize("amount", ["", "five", "0.0000001", "nan", "--5", "1e20"])
def test_what_is_no_amount_books_nothing(shell: Shell, command: str, amount: str) -> None:
    outcome = shell.run("credits", command, "org_2", amount)

    assert outcome.code in {1, 2}
    assert shell.asked == []


@pytest.mark.parametrize("command", ["top-up", "grant", "refund"])
def test_only_an_adjustment_may_be_below_0(shell: Shell, command: str) -> None:
    outcome = shell.run("credits", command, "org_2", "--", "-5")

    assert (outcome.code, shell.asked) == (1, [])
    assert outcome.err.startswith("crossdock: invalid AMOUNT '-5': use USD such as 12.50")


def test_a_typo_of_an_adjustment_is_none_of_its_amounts(shell: Shell) -> None:
    outcome = shell.run("credits", "adjust", "org_2", "5", "--refernce", "x")

    assert (outcome.code, shell.asked) == (2, [])


@pytest.mark.parametrize(("switch", "is_prepaid"), [("on", True), ("off", False)])
def test_an_organization_needs_credits_or_none(shell: Shell, switch: str, is_prepaid: bool) -> None:
    shell.says({"data": make_organization(is_prepaid=is_prepaid)})

    outcome = shell.run("credits", "require", "org_2", switch, "--json")

    assert shell.calls == [("PUT", "/v1/organizations/org_2/prepayment")]
    assert shell.body == {"is_prepaid": is_prepaid}
    assert outcome.json["is_prepaid"] is is_prepaid
    assert shell.run("credits", "require", "org_2", "maybe").code == 2


def test_what_was_booked_is_shown(shell: Shell) -> None:
    shell.says({"data": make_credit()}, 201)

    outcome = shell.run("credits", "top-up", "org_2", "100", "--reference", "invoice-17")

    assert (outcome.code, outcome.err) == (0, "")
    assert "invoice-17" in outcome.out


@pytest.mark.parametrize("command", ["show", "list", "require", *BOOKINGS])
def test_each_command_explains_itself(shell: Shell, command: str) -> None:
    outcome = shell.run("credits", command, "--help")

    assert outcome.code == 0
    assert "--json" in outcome.out


@pytest.mark.parametrize("command", ["top-up", "grant"])
def test_credits_may_expire(shell: Shell, command: str) -> None:
    shell.says({"data": make_credit()}, 201)

    words = ["org_2", "5", "--reference", "r"]
    shell.run("credits", command, *words)
    without = shell.body
    shell.run("credits", command, *words, "--expires-in", "90d")
    left = datetime.fromisoformat(str(shell.body["expires_at"])) - datetime.now(UTC)  # noqa: TID251  # the command's own clock

    assert "expires_at" not in without
    assert timedelta(days=89, hours=23) < left <= timedelta(days=90)


@pytest.mark.parametrize("command", ["top-up", "grant"])
def test_an_empty_time_is_a_mistake(shell: Shell, command: str) -> None:
    outcome = shell.run("credits", command, "org_2", "5", "--expires-in", "")

    assert outcome.code == 1
    assert "invalid duration" in outcome.err
    assert shell.calls == []
