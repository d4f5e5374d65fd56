"""crossdock byok, crossdock secrets: a key comes from where others cannot read it, and is never shown."""

import json
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from crossdock.kernel.drivers.envelope_encryption import MasterKeys
from crossdock_schemas.accounts.secret import SealedSecret
from crossdock_schemas.ids import AccountId, CredentialId
from support.management import HASH, PLAIN, Shell, Terminal, make_key

SECRET = "sk-own-8e1f70c2d94b5a6391"
OLD, NEW = b"o" * 32, b"n" * 32


def make_byok(**fields: object) -> dict[str, Any]:
    return {
        "id": "byok_1",
        "organization_id": "org_1",
        "project_id": None,
        "provider": "atlas",
        "name": "ours",
        "label": "...6391",
        "disabled": False,
        "is_fallback": False,
        "is_required": False,
        "is_byok_only": False,
        "sort_order": 3,
        "allowed_models": None,
        "allowed_api_key_hashes": None,
        "allowed_user_ids": None,
        "declared_zdr": False,
        "declared_region": None,
        "secret_version": 1,
        "version": 7,
        "created_at": "2026-01-31T12:00:00Z",
        "updated_at": "2026-01-31T12:00:00Z",
    } | fields


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "provider-key"
    file.write_text(f"{SECRET}\n")
    return file


def test_keys_are_listed_with_whom_they_serve(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    own = [
        make_byok(),
        make_byok(id="byok_2", is_fallback=True, disabled=True, allowed_models=["tern-*"], allowed_user_ids=["alice"]),
        make_byok(id="byok_3", allowed_api_key_hashes=[HASH], allowed_user_ids=["alice", "bob"]),
    ]  # fmt: skip
    shell.says({"data": own})

    table = shell.run("byok", "list").out
    plain = shell.run("byok", "list", "--json").json

    first, second, third = [line.split() for line in table.splitlines()[1:]]
    assert first == ["byok_1", "atlas", "ours", "...6391", "first", "3", "all", "all", "all", "active"]  # fmt: skip
    assert second[4:] == ["fallback", "3", "all", "1", "user", "tern-*", "disabled"]
    assert third[6:] == ["all", "1", "key,", "2", "users", "all", "active"]
    assert plain == own
    assert shell.calls == [("GET", "/v1/byok")] * 2


def test_an_empty_list_says_so(shell: Shell) -> None:
    shell.says({"data": []})

    outcome = shell.run("byok", "list")

    assert (outcome.out, outcome.err) == ("", "no BYOK keys\n")


def test_one_is_shown_as_it_is(shell: Shell) -> None:
    shell.says({"data": make_byok(allowed_user_ids=["alice"])})

    shown = shell.run("byok", "show", "byok_1").out

    assert "...6391" in shown
    assert "alice" in shown
    assert shell.run("byok", "show", "byok_1", "--json").json["allowed_user_ids"] == ["alice"]
    assert shell.calls == [("GET", "/v1/byok/byok_1")] * 2


def test_a_key_comes_from_a_variable_a_file_or_the_terminal(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, key_file: Path
) -> None:
    monkeypatch.setenv("OWN_KEY", f" {SECRET} ")
    monkeypatch.setattr(sys, "stdin", Terminal())
    shell.typed = SECRET
    shell.says({"data": make_byok()}, 201)

    bodies = []
    for words in (("--key-env", "OWN_KEY"), ("--key-file", str(key_file)), ()):
        outcome = shell.run("byok", "create", "atlas", *words)
        bodies.append(shell.body)
        assert outcome.code == 0
        assert SECRET not in outcome.out + outcome.err

    assert bodies == [{"provider": "atlas", "key": SECRET}] * 3


def test_all_that_it_is_for_is_said(shell: Shell, key_file: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"data": make_key()})
        return httpx.Response(201, json={"data": make_byok(), "test": "unclear"})

    shell.answer = answer

    outcome = shell.run(
        "byok", "create", "atlas", "--key-file", str(key_file), "--name", "ours", "--project", "proj_1",
        "--prioritized", "--required", "--byok-only", "--sort-order", "3", "--allow-model", "tern-*",
        "--allow-key", "key_1", "--allow-key", PLAIN, "--allow-user", "alice", "--allow-user", "bob b.",
        "--zdr", "--region", "europe", "--test",
    )  # fmt: skip

    assert shell.body == {
        "provider": "atlas",
        "key": SECRET,
        "name": "ours",
        "project_id": "proj_1",
        "is_fallback": False,
        "is_required": True,
        "is_byok_only": True,
        "sort_order": 3,
        "allowed_models": ["tern-*"],
        "allowed_api_key_hashes": [HASH, HASH],
        "allowed_user_ids": ["alice", "bob b."],
        "declared_zdr": True,
        "declared_region": "europe",
        "test": True,
    }
    assert "unclear" in outcome.out
    looked = [path for _, path in shell.calls[:-1]]
    assert looked == ["/v1/keys/key_1", f"/v1/keys/{sha256(PLAIN.encode()).hexdigest()}"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--key-env", "NOT_SET"), "NOT_SET"),
        (("--key-file", "nowhere"), "nowhere"),
        (("--key-env", "A", "--key-file", "b"), "not both"),
        ((), "not a terminal"),
    ],
)
def test_without_a_key_nothing_is_asked(shell: Shell, words: tuple[str, ...], why: str) -> None:
    outcome = shell.run("byok", "create", "atlas", *words)

    assert outcome.code == 1
    assert why in outcome.err
    assert shell.calls == []


def test_an_update_says_only_what_shall_change(shell: Shell, key_file: Path) -> None:
    shell.says({"data": make_byok()})

    shell.run("byok", "update", "byok_1", "--disable", "--fallback", "--no-zdr")
    first = shell.body
    shell.run(
        "byok", "update", "byok_1", "--allow-model", "", "--allow-key", "", "--allow-user", ""
    )
    second = shell.body
    shell.run("byok", "update", "byok_1", "--key-file", str(key_file))

    assert first == {"disabled": True, "is_fallback": True, "declared_zdr": False}
    opened = ("allowed_models", "allowed_api_key_hashes", "allowed_user_ids")
    assert second == dict.fromkeys(opened)
    assert shell.body == {"key": SECRET}
    assert shell.calls == [("PATCH", "/v1/byok/byok_1")] * 3


def test_another_key_is_asked_for_on_the_terminal(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal())
    shell.typed = SECRET
    shell.says({"data": make_byok()})

    shell.run("byok", "update", "byok_1", "--new-key")

    assert shell.body == {"key": SECRET}


def test_an_update_of_nothing_is_a_mistake(shell: Shell) -> None:
    outcome = shell.run("byok", "update", "byok_1")

    assert (outcome.code, shell.calls) == (1, [])


def test_a_deletion_is_asked_for_and_told(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.says({"deleted": True, "data": make_byok()})

    unasked = shell.run("byok", "delete", "byok_1")
    sure = shell.run("byok", "delete", "byok_1", "--yes")
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    refused = shell.run("byok", "delete", "byok_1")
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    asked = shell.run("byok", "delete", "byok_1", "--json")

    assert [o.code for o in (unasked, sure, refused, asked)] == [1, 0, 1, 0]
    assert sure.err == "deleted\n"
    assert "...6391" in refused.err
    assert [method for method, _ in shell.calls] == ["DELETE", "GET", "GET", "DELETE"]


# rotation


def seal(identifier: str, key: bytes) -> SealedSecret:
    place = AccountId("org_1"), CredentialId(identifier)
    return MasterKeys([key]).seal(SecretStr(SECRET), *place, 1)


@pytest.fixture
def sealed(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, SealedSecret]:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "broker:9092")
    shell.sealed = {"byok_1": seal("byok_1", OLD), "byok_2": seal("byok_2", NEW)}
    shell.says({"data": {}})
    return shell.sealed


@pytest.mark.parametrize("is_file", [True, False], ids=["in the data dir", "in the environment"])
def test_a_rotation_puts_the_old_ones_under_the_first_master_key(
    shell: Shell, sealed: Mapping[str, SealedSecret], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_file: bool,
) -> None:  # fmt: skip
    both = f"{NEW.hex()}\n{OLD.hex()}"
    if is_file:
        (tmp_path / "master-key").write_text(both)
    else:
        monkeypatch.setenv("CROSSDOCK_MASTER_KEY", both.replace("\n", ","))

    outcome = shell.run("secrets", "rotate")

    assert outcome.code == 0, outcome.err
    assert shell.calls == [("POST", "/v1/byok/byok_1/rewrap")]
    sent = SealedSecret.model_validate(shell.body)
    place = AccountId("org_1"), CredentialId("byok_1")
    assert MasterKeys([NEW]).open(sent, *place).get_secret_value() == SECRET
    assert outcome.err.startswith("re-encrypted 1 of 2 BYOK keys")
    assert SECRET not in json.dumps(shell.body)


def test_a_rotation_that_is_done_does_nothing(
    shell: Shell, sealed: Mapping[str, SealedSecret], monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.sealed = {"byok_2": sealed["byok_2"]}
    monkeypatch.setenv("CROSSDOCK_MASTER_KEY", NEW.hex())

    outcome = shell.run("secrets", "rotate", "--json")

    assert (outcome.json["rewrapped"], outcome.json["secrets"], shell.calls) == (0, 1, [])


@pytest.mark.parametrize("key", ["", "nonsense", NEW.hex()], ids=["none", "no key", "not the old"])
def test_without_the_keys_nothing_is_rewrapped(
    shell: Shell, sealed: Mapping[str, SealedSecret], monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("CROSSDOCK_MASTER_KEY", key)

    outcome = shell.run("secrets", "rotate")

    assert (outcome.code, shell.calls) == (1, [])
    assert "nonsense" not in outcome.err
