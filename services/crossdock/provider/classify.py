"""Judges calls without a sound answer: the outcome, and the next step. Pure (providers reference, 0.5 and 1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

import httpx

from crossdock.provider.adapters.types import Adapter
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
MAX_WAIT_S = 86_400.0  # a day; a longer wait is a mistake


class NextStep(StrEnum):
    """The next step after a failed call."""

    RETRY_HERE = "retry_here"
    FALL_BACK = "fall_back"
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement on a call without a sound answer."""

    outcome: CallOutcome
    step: NextStep
    code: str
    message: str
    status: int | None = None
    after_s: float | None = None
    """The wait that the provider asked for."""
    body: bytes | None = None
    """The error in OpenAI's envelope, one line of JSON. Set where the caller shall see it and `status`."""


def judge_answer(
    adapter: Adapter, status: int, headers: Mapping[str, str], content: bytes, *, now: datetime
) -> Verdict:
    """Judge a response that is not a 2xx."""
    code, kind, message = adapter.read_error(content)
    after_s = retry_after_s(headers, now=now)
    if status == BUSY and (code in _QUOTA_CODES or kind in _QUOTA_CODES):
        return Verdict(
            CallOutcome.QUOTA_EXHAUSTED, NextStep.FALL_BACK, code or kind, message, status
        )
    if status == BUSY:
        busy = code or "rate_limit_exceeded"
        return Verdict(
            CallOutcome.RATE_LIMITED, NextStep.RETRY_HERE, busy, message, status, after_s
        )
    if status >= SERVER_FAULT or status in _PASSING:
        code = code or "server_error"
        return Verdict(
            CallOutcome.SERVER_ERROR, NextStep.RETRY_HERE, code, message, status, after_s
        )
    code = code or str(status)
    if status in _CALLERS_FAULT and not _is_bad_key(code, message):
        body = adapter.error_envelope(content)
        return Verdict(CallOutcome.CLIENT_ERROR, NextStep.GIVE_UP, code, message, status, body=body)
    # why not the provider's message: it may quote the key, the account or the path, which are the operator's
    refused = f"the provider refused the call with status {status}"
    return Verdict(CallOutcome.CLIENT_ERROR, NextStep.FALL_BACK, code, refused, status)


def _is_bad_key(code: str, message: str) -> bool:
    """Return whether a 400 is about the key, as at xAI and Gemini."""
    return code in _BAD_KEY_CODES or "incorrect api key" in message.lower()


def judge_fault(outcome: CallOutcome, code: str) -> Verdict:
    """Judge a 200 without a sound answer."""
    return Verdict(outcome, NextStep.RETRY_HERE, code, f"the provider's answer was broken: {code}")


def judge_loss(error: httpx.TransportError) -> Verdict:
    """Judge a call without a complete response."""
    if isinstance(error, _NOTHING_SENT):
        outcome, code = CallOutcome.NOT_CONNECTED, "connect_failed"
    elif isinstance(error, httpx.TimeoutException):
        outcome, code = CallOutcome.TIMEOUT, "read_timeout"
    elif isinstance(error, httpx.RemoteProtocolError):
        outcome, code = CallOutcome.TRUNCATED, "incomplete_answer"
    else:
        outcome, code = CallOutcome.CONNECTION_LOST, "connection_lost"
    return Verdict(outcome, NextStep.RETRY_HERE, code, f"no whole answer from the provider: {code}")


def retry_after_s(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Return the wait in `retry-after-ms` or `retry-after` (seconds or an HTTP date); never negative."""
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
