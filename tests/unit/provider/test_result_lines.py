import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.provider.classify import NextStep, Verdict
from crossdock.provider.result_lines import error_body, status_of
from crossdock.provider.usage_rows import estimate_tokens
from crossdock_schemas.calls.usage import CallOutcome
from crossdock_schemas.ids import RequestId
from crossdock_schemas.parcel.output_line import completed, failed, not_executed
from crossdock_schemas.parcel.result import Outcome
from crossdock_schemas.tokens import Tokens


def make_verdict(**changes: Any) -> Verdict:
    values: dict[str, Any] = {
        "outcome": CallOutcome.SERVER_ERROR,
        "step": NextStep.RETRY_HERE,
        "code": "server_error",
        "message": "it broke",
        "status": 500,
    }
    return Verdict(**(values | changes))


def failure_line(request_id: str, custom_id: str, verdict: Verdict) -> bytes:
    status, body = status_of(verdict), error_body(verdict)
    return failed(RequestId(request_id), custom_id, status, verdict.code, body).line


@given(custom_id=st.text(), text=st.text())
def test_a_success_holds_the_providers_own_json_on_one_line(custom_id: str, text: str) -> None:
    body = json.dumps({"text": text}).encode()

    line = completed(RequestId("batch_req_1"), custom_id, body).line

    assert b"\n" not in line
    assert body in line
    assert json.loads(line) == {
        "id": "batch_req_1",
        "custom_id": custom_id,
        "response": {"status_code": 200, "request_id": "batch_req_1", "body": {"text": text}},
        "error": None,
    }


def test_a_failure_is_an_http_error_in_openais_envelope() -> None:
    line = json.loads(failure_line("batch_req_1", "a", make_verdict()))

    assert line == {
        "id": "batch_req_1",
        "custom_id": "a",
        "response": {
            "status_code": 500,
            "request_id": "batch_req_1",
            "body": {
                "error": {
                    "message": "it broke",
                    "type": "server_error",
                    "param": None,
                    "code": "server_error",
                }
            },
        },
        "error": None,
    }


def test_a_failure_of_the_caller_holds_the_providers_error_body() -> None:
    verdict = make_verdict(status=400, step=NextStep.GIVE_UP, body=b'{"error":{"param":"x"}}')

    line = json.loads(failure_line("r", "a", verdict))

    assert line["response"]["status_code"] == 400
    assert line["response"]["body"] == {"error": {"param": "x"}}


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"status": 400, "step": NextStep.GIVE_UP}, "invalid_request_error"),
        ({"outcome": CallOutcome.RATE_LIMITED, "status": 429}, "rate_limit_error"),
        ({"status": 503}, "server_error"),
    ],
)
def test_a_failure_has_openais_type(changes: dict[str, Any], kind: str) -> None:
    line = json.loads(failure_line("r", "a", make_verdict(**changes)))

    assert line["response"]["body"]["error"]["type"] == kind


def test_a_failure_always_says_something() -> None:
    line = json.loads(failure_line("r", "a", make_verdict(message="", status=None)))

    assert line["response"]["body"]["error"]["message"] == "the provider answered 502"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({}, 500, id="the provider's fault, as it is"),
        pytest.param({"status": 401, "step": NextStep.FALL_BACK}, 502, id="our key is our affair"),
        pytest.param({"status": 422, "step": NextStep.GIVE_UP}, 422, id="the caller's fault"),
        pytest.param({"outcome": CallOutcome.GARBAGE, "status": None}, 502, id="no answer"),
        pytest.param({"outcome": CallOutcome.TIMEOUT, "status": None}, 504, id="silence"),
        pytest.param({"outcome": CallOutcome.QUOTA_EXHAUSTED, "status": 429}, 429, id="no quota"),
        pytest.param({"outcome": CallOutcome.NOT_CONNECTED, "status": None}, 503, id="nobody"),
    ],
)
def test_the_status_says_whose_fault_it_was(changes: dict[str, Any], status: int) -> None:
    assert status_of(make_verdict(**changes)) == status


@pytest.mark.parametrize(
    ("outcome", "in_batch", "code"),
    [
        (Outcome.EXPIRED, True, "batch_expired"),
        (Outcome.EXPIRED, False, "request_expired"),
        (Outcome.CANCELLED, True, "batch_cancelled"),
        (Outcome.CANCELLED, False, "request_cancelled"),
    ],
)
def test_a_request_that_was_not_executed_has_no_response_and_says_what_ended_it(
    outcome: Outcome, in_batch: bool, code: str
) -> None:
    end = not_executed(RequestId("r"), "a", outcome, in_batch=in_batch)

    line = json.loads(end.line)
    assert (end.outcome, end.status_code, end.error_code) == (outcome, None, code)
    assert line["response"] is None
    assert line["error"]["code"] == code


@given(
    status=st.none() | st.integers(-1, 1100) | st.sampled_from([99, 100, 204, 302, 399, 600, 999]),
    outcome=st.sampled_from(CallOutcome),
    step=st.sampled_from(NextStep),
    body=st.none() | st.just(b'{"error":{}}'),
)
def test_a_caller_sees_a_status_of_an_error_whatever_the_provider_answered(
    status: int | None, outcome: CallOutcome, step: NextStep, body: bytes | None
) -> None:
    """A provider's 999 was passed on, and the server closed the caller's connection on it."""
    verdict = make_verdict(status=status, outcome=outcome, step=step, body=body)

    assert 400 <= status_of(verdict) <= 599


def test_a_status_that_http_does_not_have_is_named_in_the_error() -> None:
    line = json.loads(failure_line("r", "a", make_verdict(message="", status=999)))

    assert line["response"]["status_code"] == 502
    assert line["response"]["body"]["error"]["message"] == "the provider answered 999"


def test_estimates_round_up() -> None:
    assert estimate_tokens(prompt_bytes=5, output_chars=0) == Tokens(input=2, output=0)
