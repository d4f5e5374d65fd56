import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.provider.adapters import openai
from crossdock.provider.adapters.openai import MAX_ERROR_BODY
from crossdock.provider.classify import (
    MAX_WAIT_S,
    NextStep,
    judge_answer,
    judge_fault,
    judge_loss,
    retry_after_s,
)
from crossdock_schemas.calls.usage import CallOutcome

NOW = datetime(2027, 1, 1, tzinfo=UTC)


def error(**fields: object) -> bytes:
    return json.dumps({"error": fields}).encode()


@pytest.mark.parametrize(
    ("status", "content", "outcome", "step"),
    [
        (429, error(code="rate_limit_exceeded"), CallOutcome.RATE_LIMITED, NextStep.RETRY_HERE),
        (429, b"", CallOutcome.RATE_LIMITED, NextStep.RETRY_HERE),
        (429, error(type="insufficient_quota"), CallOutcome.QUOTA_EXHAUSTED, NextStep.FALL_BACK),
        (
            429,
            error(code="credit_balance_exhausted"),
            CallOutcome.QUOTA_EXHAUSTED,
            NextStep.FALL_BACK,
        ),
        (401, b"", CallOutcome.CLIENT_ERROR, NextStep.FALL_BACK),
        (402, b"", CallOutcome.CLIENT_ERROR, NextStep.FALL_BACK),
        (403, b"", CallOutcome.CLIENT_ERROR, NextStep.FALL_BACK),
        (404, b"", CallOutcome.CLIENT_ERROR, NextStep.FALL_BACK),
        (302, b"", CallOutcome.CLIENT_ERROR, NextStep.FALL_BACK),
        (400, b"", CallOutcome.CLIENT_ERROR, NextStep.GIVE_UP),
        (413, b"", CallOutcome.CLIENT_ERROR, NextStep.GIVE_UP),
        (422, b"", CallOutcome.CLIENT_ERROR, NextStep.GIVE_UP),
        (408, b"", CallOutcome.SERVER_ERROR, NextStep.RETRY_HERE),
        (409, b"", CallOutcome.SERVER_ERROR, NextStep.RETRY_HERE),
        (500, b"<html>", CallOutcome.SERVER_ERROR, NextStep.RETRY_HERE),
        (503, b"", CallOutcome.SERVER_ERROR, NextStep.RETRY_HERE),
        (529, b"", CallOutcome.SERVER_ERROR, NextStep.RETRY_HERE),
        (400, error(message="Incorrect API key"), CallOutcome.CLIENT_ERROR, NextStep.FALL_BACK),
    ],
)
def test_a_status_decides_what_follows(
    status: int, content: bytes, outcome: CallOutcome, step: NextStep
) -> None:
    verdict = judge_answer(openai, status, {}, content, now=NOW)

    assert (verdict.outcome, verdict.step, verdict.status) == (outcome, step, status)


def test_the_callers_mistake_is_told_in_the_providers_own_words() -> None:
    content = error(message="too long", type="invalid_request_error", param="messages", extra=1)

    verdict = judge_answer(openai, 400, {}, content, now=NOW)

    assert json.loads(verdict.body or b"") == {
        "error": {
            "message": "too long",
            "type": "invalid_request_error",
            "param": "messages",
            "code": None,
            "extra": 1,
        }
    }


@pytest.mark.parametrize(
    "content", [b"", b"no", b"[]", b'{"message":"flat"}', b'{"error":"' + b"x" * MAX_ERROR_BODY]
)
def test_an_error_in_another_shape_is_not_passed_on_whole(content: bytes) -> None:
    assert judge_answer(openai, 400, {}, content, now=NOW).body is None


def test_what_a_provider_says_about_our_key_is_not_passed_on() -> None:
    verdict = judge_answer(openai, 401, {}, error(message="Incorrect API key: sk-secret"), now=NOW)

    assert "secret" not in verdict.message
    assert verdict.body is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b'{"object":"error","message":"flat"}', "flat", id="Mistral"),
        pytest.param(b'{"code":"x","error":"text"}', "text", id="xAI"),
        pytest.param(b'[{"error":{"message":"listed"}}]', "listed", id="Gemini"),
        pytest.param(b"\xff plain", "\ufffd plain", id="no JSON"),
    ],
)
def test_the_message_is_found_in_every_dialect(content: bytes, message: str) -> None:
    assert judge_answer(openai, 503, {}, content, now=NOW).message == message


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        pytest.param({"retry-after": "3"}, 3.0, id="seconds"),
        pytest.param({"retry-after": "0.5"}, 0.5, id="fractions"),
        pytest.param({"retry-after-ms": "250", "retry-after": "9"}, 0.25, id="milliseconds win"),
        pytest.param({"retry-after-ms": "soon", "retry-after": "9"}, 9.0, id="odd milliseconds"),
        pytest.param(
            {"retry-after": format_datetime(NOW + timedelta(seconds=7), usegmt=True)},
            7.0,
            id="date",
        ),
        pytest.param(
            {"retry-after": format_datetime(NOW - timedelta(seconds=7), usegmt=True)},
            0.0,
            id="date gone by",
        ),
        pytest.param({"retry-after": "Fri, 01 Jan 2027 00:00:05 -0000"}, 5.0, id="date, no zone"),
        pytest.param({"retry-after": "later"}, None, id="words"),
        pytest.param({"retry-after": "9" * 400}, MAX_WAIT_S, id="for ever"),
        pytest.param({"retry-after": "\u00b2"}, None, id="a digit outside of ASCII"),
        pytest.param({"retry-after": "-5"}, None, id="negative"),
        pytest.param({}, None, id="none"),
    ],
)
def test_the_asked_wait_is_read(headers: dict[str, str], wait_s: float | None) -> None:
    assert retry_after_s(headers, now=NOW) == wait_s
    assert judge_answer(openai, 429, headers, b"", now=NOW).after_s == wait_s


@given(value=st.text(max_size=40))
def test_any_wait_header_gives_a_sane_wait(value: str) -> None:
    wait_s = retry_after_s({"retry-after": value}, now=NOW)

    assert wait_s is None or 0 <= wait_s <= MAX_WAIT_S


@given(status=st.integers(300, 599), content=st.binary(max_size=60))
def test_any_refusal_is_judged(status: int, content: bytes) -> None:
    assert judge_answer(openai, status, {}, content, now=NOW).status == status


@pytest.mark.parametrize(
    ("loss", "outcome"),
    [
        (httpx.ConnectError("x"), CallOutcome.NOT_CONNECTED),
        (httpx.ConnectTimeout("x"), CallOutcome.NOT_CONNECTED),
        (httpx.PoolTimeout("x"), CallOutcome.NOT_CONNECTED),
        (httpx.UnsupportedProtocol("x"), CallOutcome.NOT_CONNECTED),
        (httpx.ReadTimeout("x"), CallOutcome.TIMEOUT),
        (httpx.RemoteProtocolError("x"), CallOutcome.TRUNCATED),
        (httpx.ReadError("x"), CallOutcome.CONNECTION_LOST),
    ],
)
def test_a_lost_call_is_tried_again(loss: httpx.TransportError, outcome: CallOutcome) -> None:
    verdict = judge_loss(loss)

    assert (verdict.outcome, verdict.step) == (outcome, NextStep.RETRY_HERE)


def test_a_broken_answer_is_tried_again() -> None:
    assert judge_fault(CallOutcome.GARBAGE, "broken_json").step is NextStep.RETRY_HERE
