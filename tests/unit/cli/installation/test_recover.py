"""crossdock recover: a new owner's key goes through the accounts shard's own topic."""

from pathlib import Path

import pytest

from crossdock.kernel.requests.api_keys import digest, read_plain_key
from crossdock_schemas.accounts.control import Change, Command, Recovered, Refusal, account_command
from crossdock_schemas.topics import ACCOUNT_COMMANDS
from support.management import Shell

SECRET = "s" * 32


@pytest.fixture
def operator(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("CROSSDOCK_INGRESS_KEY_SECRET", SECRET)
    return shell


def change(command: Command, refusal: Refusal | None = None) -> Change:
    return Change(change_id=command.change_id, account=command.account, number=7, at_ms=1, action="recover", target="key_1", refusal=refusal, reason="No such organization.")  # fmt: skip


def test_the_key_is_alone_on_stdout_and_the_shard_is_given_its_digest(operator: Shell) -> None:
    operator.outcome = change

    outcome = operator.run("recover", "org_acme")

    ((servers, message, _),) = operator.applied
    command = account_command.validate_json(message.value or b"")
    plain = outcome.out.strip()
    authentic = read_plain_key(plain, SECRET)
    assert outcome.code == 0
    assert (servers, message.topic, message.key) == ("kafka:9092", ACCOUNT_COMMANDS.name, b"org_acme")  # fmt: skip
    assert isinstance(command, Recovered)
    assert (command.actor, command.hash) == (None, digest(plain))
    assert authentic is not None
    assert authentic.account == "org_acme"
    assert plain not in (message.value or b"").decode()
    assert "CROSSDOCK_MANAGEMENT_KEY" in outcome.err


def test_a_shard_that_does_not_answer_is_told_and_the_key_is_not_lost(operator: Shell) -> None:
    outcome = operator.run("recover", "--json")

    assert (outcome.code, outcome.json["applied"]) == (0, False)
    assert read_plain_key(outcome.json["key"], SECRET) is not None


def test_a_refusal_is_an_error(operator: Shell) -> None:
    operator.outcome = lambda command: change(command, Refusal.NOT_FOUND)

    outcome = operator.run("recover", "org_none")

    assert (outcome.code, outcome.out) == (1, "")
    assert "No such organization" in outcome.err


def test_without_the_installations_secret_nothing_is_sent(
    operator: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CROSSDOCK_INGRESS_KEY_SECRET")

    outcome = operator.run("recover")

    assert (outcome.code, operator.applied) == (1, [])
    assert "CROSSDOCK_INGRESS_KEY_SECRET" in outcome.err


def test_without_kafkas_address_nothing_is_sent(
    operator: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key-secret").write_text(SECRET)
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS")

    outcome = operator.run("recover", "--data-dir", str(tmp_path))

    assert (outcome.code, operator.applied) == (1, [])
    assert "KAFKA_BOOTSTRAP_SERVERS" in outcome.err


@pytest.mark.parametrize(
    "words",
    [
        ("keys", "update", "key_1", "--disable"),
        ("keys", "delete", "key_1", "--yes"),
        ("keys", "rotate", "key_1", "--overlap", "0"),
        ("projects", "update", "proj_1", "--disable"),
        ("orgs", "update", "--allow-ip", "10.0.0.0/8"),
    ],
    ids=" ".join,
)
def test_a_change_that_locks_keys_out_is_forced_by_a_flag(
    shell: Shell, words: tuple[str, ...]
) -> None:
    shell.says({"data": {"id": "key_1"}, "key": "k"})

    shell.run(*words)
    shell.run(*words, "--force")

    assert [dict(request.url.params) for request in shell.asked] == [{}, {"force": "lock_out"}]
