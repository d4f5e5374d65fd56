"""Every fault of an input line is found, with OpenAI's code and the parameter at fault."""

import json
from dataclasses import replace
from typing import Any

import pytest

from crossdock.batches.core.line_check import CheckedLine, LineRules, check_line
from crossdock.batches.core.line_preparation import prepare_line
from crossdock.kernel.requests.json_values import MAX_VALUES
from crossdock_schemas.accounts.attribution import MAX_USER
from crossdock_schemas.batches.batch import LineError
from crossdock_schemas.pricing.worst_case import Ask
from support.builders import CHAT, make_line

EMBED = "/v1/embeddings"
MODELS = {"tern": frozenset({CHAT}), "wren": frozenset({EMBED})}
RULES = LineRules(CHAT, MODELS, 1000)


def body(**changes: Any) -> dict[str, Any]:
    whole = {"model": "tern", "messages": [{"role": "user", "content": "x"}]} | changes
    return {name: value for name, value in whole.items() if value is not None}


def fault(raw: bytes, rules: LineRules = RULES) -> tuple[str, str | None]:
    found = check_line(raw, 7, rules)
    assert isinstance(found, LineError)
    assert found.line == 7
    return found.code, found.param


def test_a_line_of_too_many_values_is_not_parsed() -> None:
    """A line of 5 MB that holds 1,700,000 empty lists takes 110 MB in memory, in every stage that parses it."""
    line = make_line(3).replace(b'"model"', b'"x":[' + b"[]," * MAX_VALUES + b'0],"model"')
    rules = replace(RULES, max_line_bytes=16 * 1024**2)

    assert fault(line, rules) == ("line_too_long", None)
    assert prepare_line(line, 1, CHAT, None) is line


def test_a_sound_line_gives_its_id_and_model() -> None:
    line = make_line(3)

    assert check_line(line, 1, RULES) == CheckedLine("line-3", "tern", Ask(len(line)))


@pytest.mark.parametrize(
    ("named", "is_for_user"),
    [
        ({"user": "x" * MAX_USER}, True),
        ({"safety_identifier": "alice"}, True),
        ({"user": ""}, False),
        ({"safety_identifier": None}, False),
    ],
)
def test_a_line_may_name_an_end_user(named: dict[str, str | None], is_for_user: bool) -> None:
    whole = {"model": "tern", "messages": [{"role": "user", "content": "x"}]} | named

    found = check_line(make_line(body=whole), 1, RULES)

    assert isinstance(found, CheckedLine)
    assert found.is_for_user is is_for_user


@pytest.mark.parametrize(
    ("provider", "is_demanding"), [({"zdr": True}, True), ({"zdr": False}, False), (None, False)]
)
def test_a_line_may_demand_something_of_endpoints(
    provider: dict[str, bool] | None, is_demanding: bool
) -> None:
    found = check_line(make_line(body=body(provider=provider)), 1, RULES)

    assert isinstance(found, CheckedLine)
    assert found.is_demanding is is_demanding


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"{", ("invalid_json_line", None)),
        (b"[]", ("invalid_json_line", None)),
        (b"\xff\xfe", ("invalid_json_line", None)),
        (make_line(custom_id=None), ("missing_required_parameter", "custom_id")),
        (make_line(custom_id=""), ("missing_required_parameter", "custom_id")),
        (make_line(custom_id=5), ("invalid_type", "custom_id")),
        (make_line(method=None), ("missing_required_parameter", "method")),
        (make_line(method="GET"), ("invalid_method", "method")),
        (make_line(url=None), ("missing_required_parameter", "url")),
        (make_line(url=EMBED), ("mismatched_endpoint", "url")),
        (make_line(body=None), ("missing_required_parameter", "body")),
        (make_line(body="text"), ("invalid_type", "body")),
        (make_line(body=body(model=None)), ("missing_required_parameter", "body.model")),
        (make_line(body=body(model=5)), ("missing_required_parameter", "body.model")),
        (make_line(body=body(model="nobody")), ("model_not_found", "body.model")),
        (make_line(body=body(model="wren")), ("model_not_found", "body.model")),
        (make_line(body=body(messages=None)), ("missing_required_parameter", "body.messages")),
        (make_line(body=body(messages=[])), ("missing_required_parameter", "body.messages")),
        (make_line(body=body(stream=True)), ("invalid_parameter", "body.stream")),
        (make_line(body=body(user=5)), ("invalid_type", "body.user")),
        (make_line(body=body(provider=5)), ("invalid_type", "body.provider")),
        (make_line(body=body(provider={"zdr": 1})), ("invalid_value", "body.provider.zdr")),
        (make_line(body=body(models=["gull"])), ("unsupported_parameter", "body.models")),
        (make_line(body=body(user=[])), ("invalid_type", "body.user")),
        (
            make_line(body=body(safety_identifier="x" * (MAX_USER + 1))),
            ("string_above_max_length", "body.safety_identifier"),
        ),
    ],
)
def test_a_fault_is_named(raw: bytes, expected: tuple[str, str | None]) -> None:
    assert fault(raw) == expected


def test_an_embedding_needs_an_input() -> None:
    rules = LineRules(EMBED, MODELS, 1000)

    assert fault(make_line(url=EMBED, body={"model": "wren"}), rules) == (
        "missing_required_parameter",
        "body.input",
    )


def test_a_stream_that_is_off_is_none() -> None:
    assert isinstance(check_line(make_line(body=body(stream=False)), 1, RULES), CheckedLine)


@pytest.mark.parametrize(("length", "is_sound"), [(1000, True), (1001, False)])
def test_the_limit_of_a_line_holds_to_the_byte(length: int, *, is_sound: bool) -> None:
    raw = make_line().ljust(length)

    assert isinstance(check_line(raw, 1, RULES), CheckedLine) is is_sound


@pytest.mark.parametrize(("length", "is_sound"), [(512, True), (513, False)])
def test_the_limit_of_a_custom_id_holds_to_the_character(length: int, *, is_sound: bool) -> None:
    raw = make_line(custom_id="é" * length)

    found = check_line(raw, 1, LineRules(CHAT, MODELS, 10_000))

    assert isinstance(found, CheckedLine) is is_sound
    if isinstance(found, LineError):
        assert (found.code, found.param) == ("string_above_max_length", "custom_id")


def test_a_fault_never_repeats_the_prompt() -> None:
    secret = "the prompt"
    raw = json.dumps({"custom_id": "a", "method": "POST", "url": "x", "body": secret}).encode()

    found = check_line(raw, 1, RULES)

    assert isinstance(found, LineError)
    assert secret not in found.message


@pytest.mark.parametrize("field", ["method", "url", "model"])
def test_a_value_of_a_million_characters_is_not_repeated_in_its_error(field: str) -> None:
    line = json.loads(make_line())
    (line["body"] if field == "model" else line)[field] = "\U000e0001" * 1_000_000

    error = check_line(json.dumps(line).encode(), 1, replace(RULES, max_line_bytes=10**9))

    assert isinstance(error, LineError)
    assert len(error.message) < 400
