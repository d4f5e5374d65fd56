"""The directory knows each kind of entity once, by the beginning of its key."""

from pathlib import Path

import pytest

from crossdock_schemas.accounts.directory import (
    KINDS,
    Entity,
    EntityKind,
    budget_id,
    identity,
    kind_of,
    listed_as,
    policy_id,
    preset_id,
)
from crossdock_schemas.ids import AccountId
from crossdock_schemas.windows import Window

EXAMPLES = Path(__file__).parents[4] / "schemas/examples"
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.prefix)


def examples_of(kind: EntityKind) -> list[Entity]:
    files = sorted(EXAMPLES.glob(f"{kind.model.__name__}.v1*.json"))
    return [kind.model.from_json(file.read_bytes()) for file in files]


@every_kind
def test_a_key_in_the_directory_tells_the_kind_of_its_entity(kind: EntityKind) -> None:
    entities = examples_of(kind)

    assert entities
    for entity in entities:
        assert kind_of(listed_as(AccountId("org_1"), identity(entity))) is kind.model


def test_an_entity_is_found_under_the_id_that_its_scope_makes() -> None:
    keys = {kind.prefix: kind.key for kind in KINDS}

    assert keys["policy"].format(scope="org_1") == policy_id("org_1")
    assert keys["preset"].format(slug="a", scope="org_1") == preset_id("org_1", "a")
    for window in Window:
        assert keys["budget"].format(window=window, scope="key_1") == budget_id("key_1", window)


def test_a_key_of_no_kind_has_none() -> None:
    assert kind_of("rate_key_1") is None
