"""Keys: the first key of a chain of rotations."""

from crossdock_schemas.accounts.account import ApiKey, rotation_root
from crossdock_schemas.ids import KeyId
from unit.accounts.builders import make_key


def make_chain(*names: str) -> dict[KeyId, ApiKey]:
    """Return keys that each name the one before, and the first one the last."""
    keys = {}
    for number, name in enumerate(names):
        earlier = KeyId(names[number - 1])
        keys[KeyId(name)] = make_key(name, rotated_from=earlier)
    return keys


def test_a_deleted_key_ends_the_search_for_the_first_one() -> None:
    keys = make_chain("key_a", "key_b", "key_c")
    del keys[KeyId("key_a")]

    assert rotation_root(keys, keys[KeyId("key_c")]) == KeyId("key_a")


def test_keys_that_name_each_other_end_the_search_too() -> None:
    keys = make_chain("key_a", "key_b")

    assert rotation_root(keys, keys[KeyId("key_a")]) in keys
