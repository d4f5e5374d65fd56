"""Output lines: how a request's end looks in OpenAI's batch output form. Pure; bodies are not serialised again."""

import json

from crossdock.provider.classify import BUSY, SERVER_FAULT, Action, Verdict
from crossdock_schemas.calls.usage import CallOutcome

_INVALID = frozenset({400, 413, 422})
_STATUS = {
    CallOutcome.TIMEOUT: 504,
    CallOutcome.RATE_LIMITED: 429,
    CallOutcome.QUOTA_EXHAUSTED: 429,
    CallOutcome.NOT_CONNECTED: 503,
}
UNREADABLE = Verdict(
    CallOutcome.CLIENT_ERROR,
    Action.GIVE_UP,
    "unreadable_line",
    "This request's line could not be read.",
    400,
)
"""Of a line that no call could be made of."""
KEY_UNAVAILABLE = "byok_key_unavailable"


def _quoted(text: str) -> bytes:
    return json.dumps(text).encode()


def unavailable(provider: str, credential_id: str | None) -> Verdict:
    """Return what becomes of a call whose key is not there: it is not made. None: the installation's key."""
    whose = (
        "The installation's key"
        if credential_id is None
        else f"The own provider key {credential_id!r}"
    )
    message = (
        f"{whose} cannot be used at {provider!r}: it was deleted, is disabled, does not open, does not fit its address, "
        "or got no token."
    )
    error = {"message": message, "type": "invalid_request_error", "param": None}
    body = json.dumps({"error": error | {"code": KEY_UNAVAILABLE}}, separators=(",", ":")).encode()
    return Verdict(
        CallOutcome.CLIENT_ERROR, Action.FALL_BACK, KEY_UNAVAILABLE, message, 401, body=body
    )


def success_line(request_id: str, custom_id: str, body: bytes) -> bytes:
    """Return the output line around the provider's own JSON."""
    identifier = _quoted(request_id)
    return b"".join(
        (
            b'{"id":', identifier, b',"custom_id":', _quoted(custom_id),
            b',"response":{"status_code":200,"request_id":', identifier, b',"body":', body,
            b'},"error":null}',
        )
    )  # fmt: skip


def status_of(verdict: Verdict) -> int:
    """Return the HTTP status that the caller sees for a failure; 502 for what is between us and the provider."""
    if verdict.outcome in _STATUS:
        return _STATUS[verdict.outcome]
    if verdict.status is None:
        return 502
    is_callers = verdict.action is Action.GIVE_UP or verdict.body is not None
    return verdict.status if is_callers or verdict.status >= SERVER_FAULT else 502


def failure_line(request_id: str, custom_id: str, verdict: Verdict) -> bytes:
    """Return the output line of a request that every call failed for."""
    status = status_of(verdict)
    identifier = _quoted(request_id)
    return b"".join(
        (
            b'{"id":', identifier, b',"custom_id":', _quoted(custom_id),
            b',"response":{"status_code":%d,"request_id":' % status, identifier,
            b',"body":', verdict.body or _error_body(status, verdict), b'},"error":null}',
        )
    )  # fmt: skip


def _error_body(status: int, verdict: Verdict) -> bytes:
    kind = "invalid_request_error" if status in _INVALID else "server_error"
    error = {
        "message": verdict.message or f"the provider answered {verdict.status or status}",
        "type": "rate_limit_error" if status == BUSY else kind,
        "param": None,
        "code": verdict.code or None,
    }
    return json.dumps({"error": error}, separators=(",", ":")).encode()


def expired_line(request_id: str, custom_id: str) -> bytes:
    """Return the output line of a request whose deadline passed."""
    message = "This request could not be executed before its deadline."
    error = {"code": "batch_expired", "message": message}
    line = {"id": request_id, "custom_id": custom_id, "response": None, "error": error}
    return json.dumps(line, separators=(",", ":")).encode()


def cancelled_line(request_id: str, custom_id: str, code: str) -> bytes:
    """Return the output line of a request that was cancelled before it was called."""
    what = "request" if code == "request_cancelled" else "batch"
    message = f"This request was not executed because the {what} was cancelled."
    error = {"code": code, "message": message}
    line = {"id": request_id, "custom_id": custom_id, "response": None, "error": error}
    return json.dumps(line, separators=(",", ":")).encode()
