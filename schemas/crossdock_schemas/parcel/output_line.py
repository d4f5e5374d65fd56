"""The end of a request: its output line in OpenAI's batch output form, and the fields of its `Result`.

A body is JSON already and is not serialised again.
"""

import json
from typing import Any, NamedTuple

from crossdock_schemas.ids import RequestId
from crossdock_schemas.parcel.result import Outcome, Result

MAX_CUSTOM_ID = 512
"""Characters of a `custom_id` in results and usage rows; an output line holds all of it."""
BODY = b'"body":'
"""Stands before the body of a response."""
TAIL = b'},"error":null}'
"""Stands behind the body of a response."""


_NOT_EXECUTED = {
    "batch_cancelled": "This request was not executed because the batch was cancelled.",
    "batch_expired": "This request could not be executed before the completion window expired.",
    "request_cancelled": "This request was not executed because it was cancelled.",
    "request_expired": "This request could not be executed before its deadline.",
}
"""The messages of requests that ended without a response, by code."""
EXPIRED = frozenset({"batch_expired", "request_expired"})


class RequestEnd(NamedTuple):
    """How a request ends."""

    request_id: RequestId
    custom_id: str
    outcome: Outcome
    line: bytes
    """Its output line."""
    status_code: int | None = None
    error_code: str | None = None

    def result(
        self, number: int, model: str, created_at_ms: int, finished_at_ms: int, **used: Any
    ) -> Result:
        """Return the result of line `number`. `used`: what its calls used, as fields of the result."""
        return Result(
            request_id=self.request_id,
            line=number,
            custom_id=self.custom_id[:MAX_CUSTOM_ID],
            outcome=self.outcome,
            status_code=self.status_code,
            error_code=self.error_code,
            model=model,
            created_at_ms=created_at_ms,
            finished_at_ms=finished_at_ms,
            **used,
        )


def completed(request_id: RequestId, custom_id: str, body: bytes) -> RequestEnd:
    """Return the end of a request that a provider answered with `body`."""
    line = _response_line(request_id, custom_id, 200, body)
    return RequestEnd(request_id, custom_id, Outcome.COMPLETED, line, 200)


def failed(
    request_id: RequestId, custom_id: str, status: int, code: str, body: bytes
) -> RequestEnd:
    """Return the end of a request that was refused, or that no call succeeded for; `body` holds the error."""
    line = _response_line(request_id, custom_id, status, body)
    return RequestEnd(request_id, custom_id, Outcome.FAILED, line, status, code)


def not_executed(
    request_id: RequestId, custom_id: str, outcome: Outcome, *, in_batch: bool
) -> RequestEnd:
    """Return the end of a request that expired or was cancelled before a provider answered it."""
    code = f"{'batch' if in_batch else 'request'}_{outcome.value}"
    error = {"code": code, "message": _NOT_EXECUTED[code]}
    line = {"id": request_id, "custom_id": custom_id, "response": None, "error": error}
    return RequestEnd(request_id, custom_id, outcome, compact_json(line), None, code)


def _response_line(request_id: RequestId, custom_id: str, status: int, body: bytes) -> bytes:
    identifier = json.dumps(request_id).encode()
    return b"".join(
        (
            b'{"id":', identifier, b',"custom_id":', json.dumps(custom_id).encode(),
            b',"response":{"status_code":%d,"request_id":' % status, identifier, b",", BODY, body, TAIL,
        )
    )  # fmt: skip


def compact_json(value: object) -> bytes:
    """Return `value` as one line of JSON, without spaces."""
    return json.dumps(value, separators=(",", ":")).encode()
