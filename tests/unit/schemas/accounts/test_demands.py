"""What a request's `provider` object demands of endpoints; whatever would be passed over is refused."""

import json
from decimal import Decimal
from typing import Any

import pytest

from crossdock_schemas.accounts.demands import (
    MAX_DEMANDS_BYTES,
    MAX_MESSAGE,
    REQUEST,
    Demands,
    in_its_words,
    read_demands,
)
from crossdock_schemas.accounts.policy import MAX_PATTERNS, Excluded, Rules
from crossdock_schemas.pricing.field_types import Unsound


def demands(**provider: Any) -> Demands | Unsound | None:
    return read_demands({"model": "tern", "provider": provider})


@pytest.mark.parametrize(
    ("provider", "rules"),
    [
        ({"only": ["atlas", "b*"]}, {"allowed_providers": ("atlas", "b*")}),
        ({"ignore": ["atlas"]}, {"ignored_providers": ("atlas",)}),
        ({"data_collection": "deny"}, {"data_collection": "deny"}),
        ({"zdr": True}, {"zdr": True}),
        ({"quantizations": ["fp8", "bf16"]}, {"quantizations": ("fp8", "bf16")}),
        ({"max_price": {"prompt": 0.25}}, {"max_prompt_price": Decimal("0.25")}),
        ({"max_price": {"completion": "2"}}, {"max_completion_price": Decimal(2)}),
        ({"max_price": {"request": 0}}, {"max_request_price": Decimal(0)}),
    ],
)
def test_each_field_is_a_rule(provider: dict[str, Any], rules: dict[str, Any]) -> None:
    found = demands(**provider)

    assert isinstance(found, Demands)
    assert found.rules() == Rules(**rules)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"provider": None, "models": None},
        {"provider": {}},
        {"provider": {"only": None, "ignore": [], "max_price": {}, "zdr": False}},
        {"provider": {"data_collection": "allow", "max_price": {"image": None}}},
        {"provider": {"allow_fallbacks": True, "require_parameters": False, "sort": None}},
    ],
)
def test_who_says_what_holds_anyway_demands_nothing(body: dict[str, Any]) -> None:
    assert read_demands(body) is None


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"models": ["tern", "gull"]}, "unsupported_parameter", "models"),
        ({"models": []}, "unsupported_parameter", "models"),
        ({"provider": "atlas"}, "invalid_type", "provider"),
        ({"provider": {"sort": "price"}}, "unsupported_parameter", "provider.sort"),
        ({"provider": {"order": ["atlas"]}}, "unsupported_parameter", "provider.order"),
        ({"provider": {"onyl": ["atlas"]}}, "unsupported_parameter", "provider.onyl"),
        ({"provider": {"allow_fallbacks": False}}, "unsupported_parameter", "provider.allow_fallbacks"),
        ({"provider": {"allow_fallbacks": 1}}, "unsupported_parameter", "provider.allow_fallbacks"),
        ({"provider": {"require_parameters": True}}, "unsupported_parameter", "provider.require_parameters"),
        ({"provider": {"max_price": {"image": 1}}}, "unsupported_parameter", "provider.max_price.image"),
        ({"provider": {"only": []}}, "invalid_value", "provider.only"),
        ({"provider": {"only": "atlas"}}, "invalid_value", "provider.only"),
        ({"provider": {"only": {}}}, "invalid_value", "provider.only"),
        ({"provider": {"only": ["a b"]}}, "invalid_value", "provider.only.0"),
        ({"provider": {"only": ["a"] * (MAX_PATTERNS + 1)}}, "invalid_value", "provider.only"),
        ({"provider": {"zdr": "yes"}}, "invalid_value", "provider.zdr"),
        ({"provider": {"data_collection": True}}, "invalid_value", "provider.data_collection"),
        ({"provider": {"quantizations": ["fp9"]}}, "invalid_value", "provider.quantizations.0"),
        ({"provider": {"max_price": 3}}, "invalid_value", "provider.max_price"),
        ({"provider": {"max_price": {"prompt": -1}}}, "invalid_value", "provider.max_price.prompt"),
    ],
)  # fmt: skip
def test_what_would_be_passed_over_is_refused(body: dict[str, Any], code: str, param: str) -> None:
    fault = read_demands(body)

    assert isinstance(fault, Unsound)
    assert (fault.code, fault.param) == (code, param)
    assert f"'{param}'" in fault.message or param == "models"


def test_a_refusal_says_no_more_of_a_value_than_needed() -> None:
    for fault in (demands(only=["x" * 10_000]), demands(**{"x" * 10_000: 1})):
        assert isinstance(fault, Unsound)
        assert max(len(fault.message), len(fault.param)) <= MAX_MESSAGE


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ("allowed_providers", "only"),
        ("ignored_providers", "ignore"),
        ("max_prompt_price", "max_price.prompt"),
        ("zdr", "zdr"),
    ],
)
def test_rules_of_a_request_are_told_by_its_own_names(rule: str, name: str) -> None:
    of_request = Excluded(endpoint="atlas/tern", scope=REQUEST, rule=rule)
    of_policy = of_request.model_copy(update={"scope": "org_1"})

    assert in_its_words(of_request).rule == name
    assert in_its_words(of_policy) == of_policy


def test_demands_have_a_bound_in_bytes_because_every_envelope_has_them() -> None:
    names = ["\U0001f600" * 255 + chr(65 + n % 26) for n in range(100)]
    fitting = MAX_DEMANDS_BYTES // len(json.dumps(names[0], ensure_ascii=False).encode()) - 1

    refused = read_demands({"provider": {"only": names}})

    assert isinstance(refused, Unsound)
    assert (refused.code, refused.param) == ("invalid_value", "provider")
    assert isinstance(read_demands({"provider": {"only": names[:fitting]}}), Demands)
