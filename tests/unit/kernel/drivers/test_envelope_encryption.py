"""Sealed secrets: they open in their own place, under any of our master keys, and nowhere else."""

from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from crossdock.kernel.drivers.envelope_encryption import MasterKeys, key_id, label_of
from crossdock.kernel.drivers.master_keys import load_master_keys
from crossdock.kernel.process.errors import SecretError, SettingsError
from crossdock_schemas.accounts.secret import SealedSecret
from crossdock_schemas.ids import AccountId, CredentialId

ACME, OTHER = AccountId("org_acme"), AccountId("org_other")
BYOK, SECOND = CredentialId("byok_1"), CredentialId("byok_2")
OLD, NEW = b"o" * 32, b"n" * 32
PLAIN = SecretStr("sk-own-0123456789abcdef")
PARTS = ("wrap_nonce", "wrapped_key", "nonce", "ciphertext")


def sealed(keys: bytes = OLD, version: int = 1, secret: SecretStr = PLAIN) -> SealedSecret:
    return MasterKeys([keys]).seal(secret, ACME, BYOK, version)


@given(st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=300))
def test_what_was_sealed_opens_again(plain: str) -> None:
    keys = MasterKeys([OLD])

    found = keys.open(keys.seal(SecretStr(plain), ACME, BYOK, 1), ACME, BYOK)

    assert found.get_secret_value() == plain


def test_nothing_of_the_secret_is_in_what_is_sealed() -> None:
    first, second = sealed(), sealed()

    assert b"0123456789abcdef" not in first.to_json()
    assert {getattr(first, part) for part in PARTS}.isdisjoint({getattr(second, p) for p in PARTS})
    assert PLAIN.get_secret_value() not in repr(MasterKeys([OLD]).open(first, ACME, BYOK))


@pytest.mark.parametrize("part", PARTS)
@given(data=st.data())
def test_no_bit_of_it_can_be_another_one(part: str, data: st.DataObject) -> None:
    whole = sealed()
    raw = bytearray(b64decode(getattr(whole, part)))
    place = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[place // 8] ^= 1 << place % 8
    tampered = whole.model_copy(update={part: b64encode(bytes(raw)).decode()})

    with pytest.raises(SecretError):
        MasterKeys([OLD]).open(tampered, ACME, BYOK)


@pytest.mark.parametrize(
    ("account", "credential"),
    [(OTHER, BYOK), (ACME, SECOND)],
    ids=["another account", "another credential"],
)
def test_in_anothers_place_it_does_not_open(account: AccountId, credential: CredentialId) -> None:
    whole = sealed().model_copy(update={"account": account, "credential_id": credential})

    with pytest.raises(SecretError):
        MasterKeys([OLD]).open(whole, account, credential)


def test_an_older_version_cannot_pass_for_the_newer_one() -> None:
    with pytest.raises(SecretError):
        MasterKeys([OLD]).open(sealed().model_copy(update={"version": 2}), ACME, BYOK)


def test_a_data_key_opens_no_other_ciphertext_of_the_same_place() -> None:
    first, second = sealed(), sealed()
    mixed = first.model_copy(update={"nonce": second.nonce, "ciphertext": second.ciphertext})

    with pytest.raises(SecretError):
        MasterKeys([OLD]).open(mixed, ACME, BYOK)


def test_the_first_key_seals_and_an_older_one_opens() -> None:
    old = sealed(OLD)
    both = MasterKeys([NEW, OLD])

    opened = both.open(old, ACME, BYOK)
    new = both.seal(PLAIN, ACME, BYOK, 1)

    assert opened == PLAIN
    assert (old.master_key_id, new.master_key_id) == (key_id(OLD), key_id(NEW))


def test_a_master_key_that_is_not_ours_is_named_by_its_id_alone() -> None:
    with pytest.raises(SecretError) as refused:
        MasterKeys([NEW]).open(sealed(OLD), ACME, BYOK)

    assert key_id(OLD) in str(refused.value)
    assert OLD.hex() not in str(refused.value)


def test_rewrapped_it_opens_without_the_old_key_and_its_ciphertext_is_the_same() -> None:
    old = sealed(OLD)

    new = MasterKeys([NEW, OLD]).rewrap(old)

    assert MasterKeys([NEW]).open(new, ACME, BYOK) == PLAIN
    assert (new.nonce, new.ciphertext) == (old.nonce, old.ciphertext)
    with pytest.raises(SecretError):
        MasterKeys([OLD]).open(new, ACME, BYOK)


@pytest.mark.parametrize("between", [",", "\n", " , ", "\n\n"])
def test_master_keys_are_read_from_a_text(between: str) -> None:
    keys = MasterKeys.parse(SecretStr(f"{NEW.hex()}{between}{OLD.hex()}\n"))

    assert keys.first_id == key_id(NEW)
    assert keys.open(sealed(OLD), ACME, BYOK) == PLAIN


@pytest.mark.parametrize("text", ["abc", OLD.hex().upper() + "G", OLD.hex()[:-1], " ", ","])
def test_what_is_no_master_key_is_told_without_showing_it(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        MasterKeys.parse(SecretStr(text))

    assert not text.strip(" ,") or text not in str(refused.value)


def test_the_environment_wins_over_the_file_and_neither_means_none(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(OLD.hex())

    given_, read = (load_master_keys(SecretStr(text), file) for text in (NEW.hex(), ""))

    assert given_ is not None
    assert read is not None
    assert (given_.first_id, read.first_id) == (key_id(NEW), key_id(OLD))
    assert load_master_keys(SecretStr(""), None) is None


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nowhere"):
        load_master_keys(SecretStr(""), tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("plain", "label"), [("s" * 16 + "tail", "...tail"), ("s" * 15 + "tail", "...")]
)
def test_a_label_shows_the_end_of_a_long_secret_only(plain: str, label: str) -> None:
    assert label_of(SecretStr(plain)) == label


def test_there_is_a_master_key_or_none_are_held() -> None:
    with pytest.raises(ValueError, match="no master key"):
        MasterKeys([])
