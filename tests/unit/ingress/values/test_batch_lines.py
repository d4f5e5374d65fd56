"""Lines in and answers out."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.ingress.values.batch_lines import make_line, read_answer
from crossdock.ingress.values.errors import RefusedError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
BODIES = st.dictionaries(st.text(min_size=1), JSON, max_size=4)
CHAT = "/v1/chat/completions"


@given(body=BODIES, indent=st.sampled_from([None, 2]))
def test_a_line_is_one_line_and_holds_the_body(body: dict[str, Any], indent: int | None) -> None:
    raw = json.dumps(body, indent=indent).encode()

    line = make_line("req_1", CHAT, raw, body)

    assert b"\n" not in line
    assert b"\r" not in line
    kept = {k: v for k, v in body.items() if k not in ("stream", "stream_options")}
    assert json.loads(line) == {"custom_id": "req_1", "method": "POST", "url": CHAT, "body": kept}


def test_streaming_is_left_out() -> None:
    raw = b'{"model":"m","stream":true,"stream_options":{"include_usage":true},"x":"\xc3\xa4"}'

    line = make_line("req_1", CHAT, raw, json.loads(raw))

    assert line.endswith('"body":{"model":"m","x":"ä"}}'.encode())


def test_a_number_that_json_cannot_hold_is_refused() -> None:
    with pytest.raises(RefusedError):
        make_line("r", CHAT, b'{"stream":true,"a":1e999}', {"stream": True, "a": float("inf")})


@given(
    custom_id=st.text(),
    status=st.sampled_from([200, 400, 503]),
    body=BODIES,
    separators=st.sampled_from([(",", ":"), (", ", ": ")]),
)
def test_an_answer_is_read_in_any_spelling(
    custom_id: str, status: int, body: dict[str, Any], separators: tuple[str, str]
) -> None:
    response = {"status_code": status, "request_id": "r", "body": body}
    line = {"id": "x", "custom_id": custom_id, "response": response, "error": None}

    answer = read_answer(json.dumps(line, separators=separators).encode())

    assert answer.status == status
    assert json.loads(answer.body) == body


def test_a_body_is_passed_on_byte_for_byte() -> None:
    body = b'{"a": 1.50, "error":null}'
    head = b'{"id":"x","custom_id":"\\"body\\":","response":{"status_code":200,"request_id":"r",'

    answer = read_answer(head + b'"body":' + body + b'},"error":null}')

    assert answer == (200, body)


def test_a_line_whose_body_comes_before_its_status_is_read_all_the_same() -> None:
    head = b'{"id":"x","custom_id":"c","response":{"request_id":"r",'

    answer = read_answer(head + b'"body":{"a":1},"status_code":201},"error":null}')

    assert (answer.status, json.loads(answer.body)) == (201, {"a": 1})


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("request_expired", 504, "timeout"),
        ("batch_expired", 504, "timeout"),
        ("no_route", 500, "server_error"),
    ],
)
def test_what_was_never_executed_is_an_error(code: str, status: int, kind: str) -> None:
    error = {"code": code, "message": "because"}
    line = {"id": "x", "custom_id": "c", "response": None, "error": error}

    answer = read_answer(json.dumps(line).encode())

    assert answer.status == status
    assert json.loads(answer.body)["error"]["type"] == kind
    assert json.loads(answer.body)["error"]["message"] == "because"


@given(
    status=st.integers(-10, 10_000),
    body=BODIES,
    separators=st.sampled_from([(",", ":"), (", ", ": ")]),
)
def test_an_answer_has_a_status_that_a_response_may_have(
    status: int, body: dict[str, Any], separators: tuple[str, str]
) -> None:
    """A line of an older worker holds the provider's status, such as 999 or 204, which cannot be sent with a body."""
    response = {"status_code": status, "request_id": "r", "body": body}
    line = {"id": "x", "custom_id": "c", "response": response, "error": None}

    answer = read_answer(json.dumps(line, separators=separators).encode())

    is_sound = 200 <= status <= 599 and status // 100 != 3 and status not in (204, 205)
    assert answer.status == (status if is_sound else 502)
    assert json.loads(answer.body) == body
