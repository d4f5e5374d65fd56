"""Lines: a caller's body as one batch input line, and the answer out of one batch output line. Pure.

Bodies are not re-serialised where that can be avoided: the caller receives the bytes of the provider.
"""

import json
from typing import NamedTuple

from pydantic_core import from_json

from crossdock.ingress.values.checks import Json
from crossdock.ingress.values.errors import bad_json, make_envelope
from crossdock_schemas.parcel.output_line import BODY, EXPIRED, TAIL

_STREAMING = ("stream", "stream_options")
_WITH_BODY = frozenset({*range(200, 300), *range(400, 600)} - {204, 205})
_BAD_GATEWAY = 502


class SingleAnswer(NamedTuple):
    """The answer to a single request."""

    status: int
    body: bytes


def make_line(
    request_id: str, operation: str, raw: bytes, body: Json, *, is_changed: bool = False
) -> bytes:
    """Return the batch input line for the request `raw`, which parsed to `body`, or was changed to it."""
    head = f'{{"custom_id":"{request_id}","method":"POST","url":"{operation}","body":'
    return b"".join((head.encode(), _one_line(raw, body, is_changed=is_changed), b"}"))


def _one_line(raw: bytes, body: Json, *, is_changed: bool) -> bytes:
    if is_changed or any(name in body for name in _STREAMING):
        kept = {name: value for name, value in body.items() if name not in _STREAMING}
        try:
            text = json.dumps(kept, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        except ValueError as error:  # a number such as 1e999
            raise bad_json(str(error)) from None
        return text.encode()
    # why: JSON allows raw line breaks as white space only, so this cannot reach into a string
    return raw.strip().replace(b"\n", b" ").replace(b"\r", b" ")


def read_answer(line: bytes) -> SingleAnswer:
    """Return status and body that an output line holds."""
    head, found, rest = line.partition(BODY)
    if found and rest.endswith(TAIL) and b'"response":{' in head:
        status = _status_in(head)
        if status is not None:
            return _answer(status, rest[: -len(TAIL)])
    return _parse_answer(line)


def _answer(status: int, body: bytes) -> SingleAnswer:
    """Return an answer that HTTP allows: lines of older workers may hold any status that a provider sent."""
    return SingleAnswer(status if status in _WITH_BODY else _BAD_GATEWAY, body)


def _status_in(head: bytes) -> int | None:
    _, found, rest = head.rpartition(b'"status_code":')
    digits = rest.partition(b",")[0]
    return int(digits) if found and digits.isdigit() else None


def _parse_answer(line: bytes) -> SingleAnswer:
    parsed = from_json(line)
    response = parsed.get("response")
    if response is not None:
        body = json.dumps(response["body"], ensure_ascii=False, separators=(",", ":"))
        return _answer(int(response["status_code"]), body.encode())
    error = parsed.get("error") or {}
    return _never_executed(str(error.get("code")), str(error.get("message")))


def _never_executed(code: str, message: str) -> SingleAnswer:
    """Return the answer of a request that ended without a call."""
    if code in EXPIRED:
        return SingleAnswer(504, make_envelope(message, "timeout", None, "request_timeout"))
    return SingleAnswer(500, make_envelope(message, "server_error", None, code))
