"""The error envelope."""

import json

import pytest

from crossdock.ingress.values import errors
from crossdock.ingress.values.errors import RefusedError


@pytest.mark.parametrize(
    ("refusal", "status", "kind", "code"),
    [
        (errors.bad_key(given=True), 401, "invalid_request_error", "invalid_api_key"),
        (errors.bad_key(given=False), 401, "invalid_request_error", "invalid_api_key"),
        (errors.too_large(5), 413, "invalid_request_error", "request_too_large"),
        (errors.no_model("m"), 404, "invalid_request_error", "model_not_found"),
        (errors.too_busy(), 429, "requests", "rate_limit_exceeded"),
        (errors.unavailable("It"), 503, "server_error", "service_unavailable"),
        (errors.timed_out(3), 504, "timeout", "request_timeout"),
        (errors.not_cancellable("failed"), 409, "invalid_request_error", None),
    ],
    ids=lambda value: value.status if isinstance(value, RefusedError) else None,
)
def test_every_refusal_has_openais_four_fields(
    refusal: RefusedError, status: int, kind: str, code: str | None
) -> None:
    error = json.loads(refusal.body)["error"]

    assert list(error) == ["message", "type", "param", "code"]
    assert (refusal.status, error["type"], error["code"]) == (status, kind, code)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (True, "a boolean"),
        (1, "an integer"),
        (1.5, "a number"),
        ("x", "a string"),
        ([], "an array"),
        ({}, "an object"),
        (None, "null"),
    ],
)
def test_a_wrong_type_is_named_as_json_names_it(value: object, name: str) -> None:
    assert f"but got {name} instead" in str(errors.wrong_type("p", "a date", value))
