"""The caller's view of a failed call: its HTTP status and its error in OpenAI's envelope. Pure."""

from crossdock.provider.classify import BUSY, SERVER_FAULT, NextStep, Verdict
from crossdock_schemas.calls.usage import CallOutcome
from crossdock_schemas.parcel.output_line import compact_json

_INVALID = frozenset({400, 413, 422})
_STATUS = {
    CallOutcome.TIMEOUT: 504,
    CallOutcome.RATE_LIMITED: 429,
    CallOutcome.QUOTA_EXHAUSTED: 429,
    CallOutcome.NOT_CONNECTED: 503,
}
_NO_CALL = 502  # for a fault between this worker and the provider, and for a status that HTTP does not have
_ERRORS = range(400, 600)
UNREADABLE = Verdict(
    CallOutcome.CLIENT_ERROR,
    NextStep.GIVE_UP,
    "unreadable_line",
    "This request's line could not be read.",
    400,
)
"""The verdict on a line that no call can be made of."""
FAULT = Verdict(
    CallOutcome.SERVER_ERROR,
    NextStep.GIVE_UP,
    "internal_error",
    "Crossdock could not handle this request or its answer. The operator finds the reason in the logs.",
    500,
)
"""The verdict on a line that an unexpected error broke off."""
KEY_UNAVAILABLE = "byok_key_unavailable"


def unavailable(provider: str, credential_id: str | None) -> Verdict:
    """Return the verdict on a call that is not made because its key cannot be used; None: the installation key."""
    key = "The installation key" if credential_id is None else f"The BYOK key {credential_id!r}"
    message = (
        f"{key} cannot be used at {provider!r}: it was deleted, is disabled, cannot be decrypted, does not fit the "
        "provider's address, or got no access token."
    )
    body = _envelope(message, "invalid_request_error", KEY_UNAVAILABLE)
    outcome, step = CallOutcome.CLIENT_ERROR, NextStep.FALL_BACK
    return Verdict(outcome, step, KEY_UNAVAILABLE, message, 401, body=body)


def status_of(verdict: Verdict) -> int:
    """Return the HTTP status that the caller sees for a failure: an error of HTTP, whatever the provider answered.

    502 is for a fault between worker and provider.
    """
    if verdict.outcome in _STATUS:
        return _STATUS[verdict.outcome]
    if verdict.status is None or verdict.status not in _ERRORS:
        return _NO_CALL
    is_callers = verdict.step is NextStep.GIVE_UP or verdict.body is not None
    return verdict.status if is_callers or verdict.status >= SERVER_FAULT else _NO_CALL


def error_body(verdict: Verdict) -> bytes:
    """Return the error that the caller sees for a failure."""
    if verdict.body is not None:
        return verdict.body
    status = status_of(verdict)
    kind = "invalid_request_error" if status in _INVALID else "server_error"
    message = verdict.message or f"the provider answered {verdict.status or status}"
    return _envelope(message, "rate_limit_error" if status == BUSY else kind, verdict.code or None)


def _envelope(message: str, kind: str, code: str | None) -> bytes:
    error = {"message": message, "type": kind, "param": None, "code": code}
    return compact_json({"error": error})
