"""The options of a policy's rules follow the model's fields."""

from decimal import Decimal
from typing import Literal

import pytest

from crossdock.cli.management.policy_options import ALLOWED, OPTIONS, TYPES
from crossdock_schemas.accounts.policy import Rules


def test_every_rule_has_an_option() -> None:
    assert OPTIONS.keys() == Rules.model_fields.keys()
    assert len({option.name for option in OPTIONS.values()}) == len(OPTIONS)


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        ("allowed_models", tuple),
        ("ignored_models", tuple),
        ("max_prompt_price", Decimal),
        ("data_collection", Literal),
        ("zdr", bool),
        ("max_tokens", int),
        ("content_filters", tuple),
    ],
)
def test_an_option_takes_what_its_rule_takes(rule: str, kind: object) -> None:
    assert TYPES[rule] is kind


def test_an_empty_list_demands_something_where_the_rule_may_be_absent() -> None:
    assert set(ALLOWED) == {
        "allowed_models",
        "allowed_providers",
        "allowed_data_regions",
        "quantizations",
    }
