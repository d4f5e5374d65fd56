"""Unknown and wrong fields are refused: the same ones, for the same reasons, in a request and in a batch's line."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.batches.core.line_check import CheckedLine, LineRules, check_line
from crossdock.ingress.values.checks import RequestWish, check_request
from crossdock.ingress.values.errors import RefusedError
from crossdock.kernel.requests.body_check import MAX_UNKNOWN, MAX_UNKNOWN_NAME, check_body
from crossdock_schemas.pricing.catalogue import Catalogue, Offer, Provider
from crossdock_schemas.pricing.field_types import Unsound
from crossdock_schemas.pricing.parameters import PARAMETERS, Effect
from crossdock_schemas.pricing.prices import Prices
from crossdock_schemas.pricing.worst_case import MAX_CHOICES, MAX_TOKENS

CHAT, EMBEDDINGS = "/v1/chat/completions", "/v1/embeddings"
OFFERS = (
    Offer(model="tern", prices=Prices()),
    Offer(model="wren", operations=(EMBEDDINGS,), prices=Prices()),
)
CATALOGUE = Catalogue(providers=(Provider(name="atlas", base_url="http://x", models=OFFERS),))
COUNTS = ("n", "best_of", "max_tokens", "max_completion_tokens", "thinking_budget", "min_tokens")
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
        st.sampled_from(["type", "ttl", "budget_tokens", "max_tokens", "effort", "x"]), inner, max_size=2
    ),
    max_leaves=5,
)  # fmt: skip


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "tern", "messages": [{"role": "user", "content": "hi"}]} | fields


def fault(body: dict[str, Any], operation: str = CHAT) -> tuple[str, str]:
    found = check_body(body, operation)
    assert isinstance(found, Unsound), body
    assert found.param in found.message
    return found.code, found.param


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize(
    "value", ["100", "1e3", 7.0, 7.5, 1e400, float("nan"), True, [7], {"a": 7}], ids=repr
)
def test_a_count_is_a_json_integer(name: str, value: object) -> None:
    assert fault(chat(**{name: value})) == ("invalid_type", name)


@pytest.mark.parametrize("value", [-1, -(2**63), 10**12, 2**64, 10**4300], ids=lambda n: f"{n:.0e}" if n < 10**300 else "huge")  # fmt: skip
@pytest.mark.parametrize("name", COUNTS)
def test_a_count_is_within_its_bounds(name: str, value: int) -> None:
    assert fault(chat(**{name: value})) == ("invalid_value", name)


@pytest.mark.parametrize(
    ("name", "highest"), [("n", MAX_CHOICES), ("best_of", MAX_CHOICES), ("max_tokens", MAX_TOKENS)]
)
def test_the_bounds_hold_to_the_number(name: str, highest: int) -> None:
    assert check_body(chat(**{name: 1}), CHAT) == check_body(chat(**{name: highest}), CHAT) == ()
    assert fault(chat(**{name: 0})) == fault(chat(**{name: highest + 1})) == ("invalid_value", name)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"service_tier": "priority"}, "service_tier"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"plugins": [{"id": "web"}]}, "plugins"),
        ({"tools": [{"type": "function"}, {"type": "web_search"}]}, "tools[1].type"),
        ({"tools": [{"google_search": {}}]}, "tools[0].type"),
        ({"tools": [{"type": ["function"]}]}, "tools[0].type"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "alloy"}}, "audio"),
        ({"background": True}, "background"),
        ({"background": 1}, "background"),
        ({"enable_search": "true"}, "enable_search"),
        ({"speed": "fast"}, "speed"),
        ({"max_output_tokens": 5}, "max_output_tokens"),
        ({"cache_control": {"type": "ephemeral", "ttl": "1h"}}, "cache_control.ttl"),
    ],
    ids=repr,
)
def test_what_has_no_price_is_refused(fields: dict[str, Any], param: str) -> None:
    assert fault(chat(**fields)) == ("unsupported_parameter", param)


def test_a_cache_mark_without_a_price_is_found_in_a_message() -> None:
    part = {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral", "ttl": "1h"}}

    param = "messages[0].content[0].cache_control.ttl"
    assert fault(chat(messages=[{"role": "user", "content": [part]}])) == ("unsupported_parameter", param)  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"tools": {}}, ("invalid_type", "tools")),
        ({"tools": ["web"]}, ("invalid_type", "tools[0]")),
        ({"functions": [7]}, ("invalid_type", "functions[0]")),
        ({"stream": "true"}, ("invalid_type", "stream")),
        ({"store": 1}, ("invalid_type", "store")),
        ({"reasoning_effort": 5}, ("invalid_type", "reasoning_effort")),
        ({"thinking": True}, ("invalid_type", "thinking")),
        ({"thinking": {"budget_tokens": "9"}}, ("invalid_type", "thinking.budget_tokens")),
        ({"thinking": {"Budget_Tokens": 9}}, ("unknown_parameter", "thinking.Budget_Tokens")),
        ({"reasoning": {"max_tokens": -9}}, ("invalid_value", "reasoning.max_tokens")),
        ({"prediction": "hi"}, ("invalid_type", "prediction")),
        ({"temperature": float("inf")}, ("invalid_value", "temperature")),
        ({"of_tomorrow": float("inf")}, ("invalid_value", "of_tomorrow")),
        ({"max_tokens": 5, "max_completion_tokens": 5}, ("invalid_value", "max_tokens")),
        ({"messages": ["hi"]}, ("invalid_type", "messages[0]")),
        ({"metadata": {"a": 1}}, ("invalid_type", "metadata.a")),
    ],
    ids=repr,
)
def test_every_field_that_costs_has_one_type(
    fields: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert fault(chat(**fields)) == expected


@pytest.mark.parametrize("name", ["N", "\uff4e", "n ", "Max_Tokens", "maxTokens", "max-tokens", "max_to\u200bkens", "MAX_COMPLETION_TOKENS"])  # fmt: skip
def test_a_name_that_a_careless_reader_takes_for_another_is_refused(name: str) -> None:
    found = check_body(chat(**{name: 5}), CHAT)

    assert isinstance(found, Unsound)
    assert (found.code, found.param) == ("unknown_parameter", name)
    assert "Did you mean 'n'" in found.message or "Did you mean 'max_" in found.message


def test_null_is_as_good_as_absent() -> None:
    nothing = dict.fromkeys(PARAMETERS[CHAT].keys() - {"model", "messages"})  # fmt: skip

    assert check_body(chat(**nothing, of_tomorrow=None), CHAT) == ()


def test_fields_that_nobody_knows_are_named() -> None:
    assert check_body(chat(of_tomorrow=1, temperature=0), CHAT) == ("of_tomorrow",)
    assert check_body({"model": "wren", "input": "hi", "n": 5}, EMBEDDINGS) == ("n",)


def test_an_envelope_has_room_for_the_names() -> None:
    names = check_body(chat(**{f"{number}" * 300: 1 for number in range(20)}), CHAT)

    assert len(names) == MAX_UNKNOWN
    assert max(map(len, names)) == MAX_UNKNOWN_NAME


@pytest.mark.parametrize("given_", ["hi", ["hi", ""], [1, 2], [[1, 2], [3]]], ids=repr)
def test_texts_and_tokens_can_be_embedded(given_: object) -> None:
    assert check_body({"model": "wren", "input": given_, "dimensions": 8}, EMBEDDINGS) == ()


@pytest.mark.parametrize(
    ("given_", "param"),
    [
        ([{"image": "x"}], "input[0]"),
        (["a", 1], "input[1]"),
        ([1, "a"], "input[1]"),
        ([1, True], "input[1]"),
        ([[1], ["a"]], "input[1]"),
        ([[1], 2], "input[1]"),
        ([None], "input[0]"),
        ([1.5], "input[0]"),
    ],
    ids=repr,
)
def test_nothing_else_can(given_: object, param: str) -> None:
    body = {"model": "wren", "input": given_}

    assert fault(body, EMBEDDINGS) == ("invalid_type", param)


def asked(body: dict[str, Any]) -> RequestWish | RefusedError:
    try:
        return check_request(body, CHAT, CATALOGUE)
    except RefusedError as refused:
        return refused


@given(st.dictionaries(st.sampled_from([*PARAMETERS[CHAT], "of_tomorrow", "N"]), ANY, max_size=4))
def test_a_line_of_a_batch_is_refused_for_what_a_single_request_is_refused(
    fields: dict[str, Any],
) -> None:
    body = chat(**{name: value for name, value in fields.items() if name not in {"model", "stream"}})  # fmt: skip
    raw = json.dumps({"custom_id": "a", "method": "POST", "url": CHAT, "body": body}).encode()
    if b"NaN" in raw or b"Infinity" in raw:
        return  # no JSON

    line = check_line(raw, 7, LineRules(CHAT, CATALOGUE.models, 10**6))
    single = asked(body)
    if isinstance(single, RequestWish):
        assert isinstance(line, CheckedLine), line
        assert line.is_special is bool(single.unknown or line.ask.extra or line.ask.kept)
        return
    assert not isinstance(line, CheckedLine)
    assert (line.line, line.param) == (7, f"body.{single.param}")
    if body["messages"]:  # an empty list is missing in a line, and a wrong value in a request
        assert (line.code, line.message) == (single.reason, str(single))


def test_every_parameter_says_what_it_does_to_the_cost() -> None:
    effects = Counter(one.effect for one in PARAMETERS[CHAT].values())

    assert set(effects) == set(Effect)
    assert all(one.note for one in PARAMETERS[CHAT].values() if one.effect is not Effect.NONE)
    assert all(one.type.text for known in PARAMETERS.values() for one in known.values())


def test_functions_and_marks_of_a_cache_that_are_sound_pass() -> None:
    part = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
    body = {
        "messages": [{"role": "user", "content": [part, part]}],
        "functions": [{"name": "a"}, {"name": "b"}],
    }

    assert check_body(body, "/v1/chat/completions") == ()
