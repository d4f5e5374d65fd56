"""End users and tags, and the scopes that name them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock_schemas.accounts.attribution import (
    MAX_TAG_NAME,
    MAX_TAG_VALUE,
    MAX_USER,
    is_mark,
    is_sound_mark,
    tag_scope,
    user_of,
    user_scope,
)

PAIRS = st.tuples(st.text("a=%3D25", max_size=6), st.text("a=%", max_size=4))


@pytest.mark.parametrize(
    ("body", "user"),
    [
        ({}, ""),
        ({"user": None}, ""),
        ({"user": "alice"}, "alice"),
        ({"safety_identifier": "bob"}, "bob"),
        ({"user": "alice", "safety_identifier": "bob"}, "bob"),
        ({"user": "alice", "safety_identifier": ""}, "alice"),
    ],
)
def test_the_newer_name_of_an_end_user_goes_first(body: dict[str, object], user: str) -> None:
    assert user_of(body) == user


@given(st.lists(PAIRS, unique=True))
def test_two_tags_never_have_one_scope(pairs: list[tuple[str, str]]) -> None:
    """A name may hold the sign that stands between name and value."""
    scopes = {tag_scope(*pair) for pair in pairs}

    assert len(scopes) == len(pairs)
    assert all(map(is_sound_mark, scopes))


@pytest.mark.parametrize(
    ("scope", "is_sound"),
    [
        (user_scope("alice"), True),
        (user_scope("x" * MAX_USER), True),
        (user_scope("x" * (MAX_USER + 1)), False),
        (user_scope(""), False),
        ("tag:team=search", True),
        ("tag:team=", True),
        ("tag:team", False),
        ("tag:100%=x", False),
        ("tag:100%25=x", True),
        (tag_scope("=" * MAX_TAG_NAME, "x" * MAX_TAG_VALUE), True),
        (tag_scope("x" * (MAX_TAG_NAME + 1), ""), False),
        (tag_scope("", "x" * (MAX_TAG_VALUE + 1)), False),
        ("proj_1", False),
        ("key_a=b", False),
    ],
)
def test_a_scope_is_sound_if_a_request_may_bring_it(scope: str, is_sound: bool) -> None:
    assert is_sound_mark(scope) is is_sound
    assert is_mark(scope) or not is_sound
