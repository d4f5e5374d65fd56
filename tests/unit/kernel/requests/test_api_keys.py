"""Plain keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.kernel.requests.api_keys import digest, label_of, make_plain_key, read_plain_key
from crossdock_schemas.ids import AccountId, make_account_id

SECRET = "a" * 64
NOW_MS = 1_800_000_000_000


@pytest.mark.parametrize(
    "account", [AccountId("org_local"), make_account_id(NOW_MS)], ids=["local", "made"]
)
def test_a_key_tells_whose_it_is_and_when_it_was_made(account: AccountId) -> None:
    plain = make_plain_key(account, SECRET, NOW_MS)

    assert read_plain_key(plain, SECRET) == (account, NOW_MS)
    assert plain.isascii()


def test_two_keys_are_never_the_same() -> None:
    keys = {make_plain_key(AccountId("org_local"), SECRET, NOW_MS) for _ in range(1000)}

    assert len(keys) == len({digest(key) for key in keys}) == 1000


@given(place=st.integers(0, 200), letter=st.sampled_from("0123456789abcdefxyz-_"))
def test_no_character_of_a_key_can_be_another_one(place: int, letter: str) -> None:
    plain = make_plain_key(AccountId("org_local"), SECRET, NOW_MS)
    place %= len(plain)
    changed = plain[:place] + letter + plain[place + 1 :]

    assert (read_plain_key(changed, SECRET) is None) == (changed != plain)


@given(st.text())
def test_any_other_text_is_no_key(text: str) -> None:
    assert read_plain_key(text, SECRET) is None


def test_another_installations_key_is_none_of_ours() -> None:
    assert read_plain_key(make_plain_key(AccountId("org_local"), "b" * 64, NOW_MS), SECRET) is None


def test_a_label_gives_nothing_away() -> None:
    plain = make_plain_key(AccountId("org_local"), SECRET, NOW_MS)

    assert len(label_of(plain)) < 22
    assert plain.startswith(label_of(plain).partition("...")[0])
