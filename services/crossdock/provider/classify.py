"""What became of a call, and what to do next. Pure (providers reference, sections 0.5 and 1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

import httpx
from pydantic_core import from_json, to_json

from crossdock_schemas.calls.usage import CallOutcome

_QUOTA_CODES = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "enforced_spend_limit_reached",
    }
)
_BAD_KEY_CODES = frozenset({"invalid_api_key", "API_KEY_INVALID"})
_CALLERS_FAULT = frozenset({400, 413, 422})
_PASSING = frozenset({408, 409, 424, 425, 499})
_NOTHING_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
)
BUSY = 429
SERVER_FAULT = 500  # and above
MAX_WAIT_S = 86_400.0  # a day; a longer wait is a mistake, and infinity no time
MAX_MESSAGE = 2000  # characters of a provider's message that travel on
MAX_ERROR_BODY = 65_536


class Action(StrEnum):
    """What follows."""

    RETRY_HERE = "retry_here"
    FALL_BACK = "fall_back"
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of a call that gave no sound answer."""

    outcome: CallOutcome
    action: Action
    code: str
    message: str
    status: int | None = None
    after_s: float | None = None
    """The provider asked to wait that long."""
    body: bytes | None = None
    """The error in OpenAI's envelope, one line of JSON, where it is meant for the caller: so is its status then."""


def judge_answer(
    status: int, headers: Mapping[str, str], content: bytes, *, now: datetime
) -> Verdict:
    """Judge an answer that is not a 2xx."""
    code, kind, message = _error_in(content)
    after_s = retry_after_s(headers, now=now)
    if status == BUSY and (code in _QUOTA_CODES or kind in _QUOTA_CODES):
        return Verdict(CallOutcome.QUOTA_EXHAUSTED, Action.FALL_BACK, code or kind, message, status)
    if status == BUSY:
        busy = code or "rate_limit_exceeded"
        return Verdict(CallOutcome.RATE_LIMITED, Action.RETRY_HERE, busy, message, status, after_s)
    if status >= SERVER_FAULT or status in _PASSING:
        code = code or "server_error"
        return Verdict(CallOutcome.SERVER_ERROR, Action.RETRY_HERE, code, message, status, after_s)
    code = code or str(status)
    if status in _CALLERS_FAULT and not _is_bad_key(code, message):
        body = _envelope(content)
        return Verdict(CallOutcome.CLIENT_ERROR, Action.GIVE_UP, code, message, status, body=body)
    # why not the provider's message: the key, the account and the path are ours, and it may quote them
    refused = f"the provider refused the call with status {status}"
    return Verdict(CallOutcome.CLIENT_ERROR, Action.FALL_BACK, code, refused, status)


def _is_bad_key(code: str, message: str) -> bool:
    """Say whether a 400 means the key, as at xAI and Gemini."""
    return code in _BAD_KEY_CODES or "incorrect api key" in message.lower()


def judge_fault(outcome: CallOutcome, code: str) -> Verdict:
    """Judge a 200 that is no answer."""
    return Verdict(outcome, Action.RETRY_HERE, code, f"the provider's answer was broken: {code}")


def judge_loss(error: httpx.TransportError) -> Verdict:
    """Judge a call that brought no whole answer."""
    if isinstance(error, _NOTHING_SENT):
        outcome, code = CallOutcome.NOT_CONNECTED, "connect_failed"
    elif isinstance(error, httpx.TimeoutException):
        outcome, code = CallOutcome.TIMEOUT, "read_timeout"
    elif isinstance(error, httpx.RemoteProtocolError):
        outcome, code = CallOutcome.TRUNCATED, "incomplete_answer"
    else:
        outcome, code = CallOutcome.CONNECTION_LOST, "connection_lost"
    return Verdict(outcome, Action.RETRY_HERE, code, f"no whole answer from the provider: {code}")


def retry_after_s(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Return what `retry-after-ms` or `retry-after` (seconds or an HTTP date) asks for; never negative."""
    milliseconds = headers.get("retry-after-ms")
    if milliseconds is not None and _is_number(milliseconds):
        return min(MAX_WAIT_S, float(milliseconds) / 1000)
    value = headers.get("retry-after")
    if value is None:
        return None
    if _is_number(value):
        return min(MAX_WAIT_S, float(value))
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
    wait_s = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()
    return min(MAX_WAIT_S, max(0.0, wait_s))


def _is_number(value: str) -> bool:
    digits = value.strip().replace(".", "", 1)
    return digits.isascii() and digits.isdigit()


def _error_in(content: bytes) -> tuple[str, str, str]:
    """Return code, type and message of an error body, as far as it has them."""
    try:
        value = from_json(content)
    except ValueError:
        return "", "", content[:200].decode("utf-8", "replace")
    if isinstance(value, list) and value:
        value = value[0]  # Gemini's compatible face wraps its error in a list
    error: Any = value.get("error", value) if isinstance(value, dict) else {}
    if not isinstance(error, dict):
        return "", "", str(error)[:MAX_MESSAGE]
    code = error.get("code")
    return (
        str(code)[:100] if code is not None else "",
        str(error.get("type") or "")[:100],
        str(error.get("message") or "")[:MAX_MESSAGE],
    )


def _envelope(content: bytes) -> bytes | None:
    """Return an error body that is OpenAI's envelope already, as one line; else None."""
    if len(content) > MAX_ERROR_BODY:
        return None
    try:
        value = from_json(content, allow_inf_nan=False)
    except ValueError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("error"), dict):
        return None
    given = value["error"]
    return to_json({"error": {"message": "", "type": None, "param": None, "code": None} | given})
