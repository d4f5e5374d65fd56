"""A body is taken exactly if the document's schema takes it: no value more, no value less."""

import json
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from crossdock.ingress.resources import OPERATIONS
from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.validation import parse_object, read_model
from support.openapi import document, faults

Json = dict[str, Any]

MODELS = {
    one.body.__name__: (one.body, dict(one.example))
    for one in OPERATIONS
    if one.body is not None and one.is_body_parsed
}
VALUES: list[Any] = [
    None, True, False, 0, 1, 3600, -1, 0.5, -0.5, 10**15, 10**14, "", "x", "24h", "8d", "/v1/embeddings", "batch",
    "12.50", "12.5000001", "-1", "-12.50", "1e3", " 1", "daily", "total", "owner", "king", "a b", "k" * 255, "k" * 300,
    "k" * 1025, "@preset/x", "2027-01-31T12:00:00Z", "2027-01-31T12:00:00+01:00", "tomorrow", "deny", "refund", "grant",
    "lapse", "europe", "mars", [], [1], ["a"], ["a b"], [""], ["a"] * 100, ["a"] * 101, ["*"], ["10.0.0.0/8"],
    ["10.0.0.300"], ["10.0.0.0/33"], ["192.0.2.1"], ["2001:db8::/32"], ["::1"], ["here"], ["0" * 64], ["europe"], ["fp8"],
    {}, {"a": "b"}, {"a": 1}, {"a": None}, {"k" * 64: "v" * 512}, {"k" * 65: ""}, {"k": "v" * 513},
    {str(n): "" for n in range(16)}, {str(n): "" for n in range(17)}, {str(n): 1 for n in range(65)},
    {"messages": []}, {"temperature": 0.5}, {"prompt": "0.5"}, {"prompt": 0.5}, {"prompt": -1}, {"prompt": None},
    {"prompt": "1e3"}, {"request": 10**6}, {"image": 1}, 10**6, 10**6 + 1, 10**9, 10**9 + 1, 365 * 86_400,
    365 * 86_400 + 1, [{"slug": "email", "action": "flag"}], [{"slug": "email", "action": "stop"}], [{"slug": "email"}],
    [{"pattern": "a", "action": "block", "label": "x"}], [{"pattern": "a", "action": "block", "label": None}],
    [{"pattern": "", "action": "block"}], [{"pattern": "a", "action": "block", "lable": "x"}],
    [{"pattern": "a", "action": "block", "label": "-"}], {"anchor": "created_at", "seconds": 3600},
    {"anchor": "created_at", "seconds": 1}, {"anchor": "x", "seconds": 3600}, "sk-of-ones-own",
]  # fmt: skip
BEYOND_A_SCHEMA = {"at most 6 decimal places"}
"""Rules of values that JSON Schema cannot say of a number."""


READ_LATER = {"key"}
"""A provider's key is read in its provider's shape."""


def why_not(kind: type[BaseModel], body: Json) -> str | None:
    """Return the message of the refusal; None: the body is taken."""
    try:
        read_model(kind, parse_object(json.dumps(body).encode()))
    except RefusedError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", MODELS)
def test_a_body_is_taken_exactly_if_the_schema_takes_it(name: str) -> None:
    kind, sound = MODELS[name]
    schema = document()["components"]["schemas"][name]
    assert why_not(kind, sound) is None

    differing = []
    for field in kind.model_fields.keys() - READ_LATER:
        for value in VALUES:
            body = sound | {field: value}
            why, wrong = why_not(kind, body), faults(schema, body)
            is_number = isinstance(value, float) and any(rule in (why or "") for rule in BEYOND_A_SCHEMA)  # fmt: skip
            if (why is None) != (wrong == []) and not is_number:
                differing.append((field, value, why, wrong))

    assert differing == []


@pytest.mark.parametrize("name", MODELS)
def test_a_field_is_required_exactly_if_the_schema_requires_it(name: str) -> None:
    kind, sound = MODELS[name]
    required = document()["components"]["schemas"][name].get("required", [])

    needed = [
        field
        for field in sound
        if why_not(kind, {other: value for other, value in sound.items() if other != field})
    ]

    assert sorted(needed) == sorted(required)


@pytest.mark.parametrize("name", MODELS)
def test_an_unknown_field_is_refused_by_name_if_the_schema_is_closed(name: str) -> None:
    kind, sound = MODELS[name]
    is_closed = document()["components"]["schemas"][name].get("additionalProperties") is False

    why = why_not(kind, sound | {"nmae": 1})

    assert (why is not None and "Unknown parameter: 'nmae'" in why) is is_closed


def test_amounts_are_read_to_the_last_digit() -> None:
    kind, sound = MODELS["BudgetSet"]

    read = read_model(kind, sound | {"limit_usd": "99999999999999.999999"})

    assert read.model_dump()["limit_usd"] == Decimal("99999999999999.999999")
