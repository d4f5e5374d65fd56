"""Results of lines that a stage refuses before any provider is called, or that it cannot handle. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic_core import from_json

from crossdock.kernel.process.record import Outgoing
from crossdock.kernel.requests.results import result_records
from crossdock_schemas.calls.usage import UsageGroup, hold_end
from crossdock_schemas.codec import encode_headers
from crossdock_schemas.parcel.output_line import MAX_CUSTOM_ID, compact_json, failed
from crossdock_schemas.parcel.parcel import Parcel, split_lines
from crossdock_schemas.topics import USAGE


@dataclass(frozen=True, slots=True)
class LineRefusal:
    """The error of refused lines, as the caller sees it in OpenAI's envelope."""

    status: int
    code: str
    message: str
    kind: str = "invalid_request_error"
    param: str | None = None
    retry_after_s: int | None = None
    """Seconds after which a retry may succeed; None: unknown."""
    metadata: Mapping[str, object] | None = field(default=None, hash=False)
    """Details for programs, such as `excluded_by`."""


SET_ASIDE = LineRefusal(
    500,
    "request_set_aside",
    "Crossdock cannot handle this request. It is kept as a dead letter for the operator, and was not repeated.",
    "server_error",
)
"""The error of lines whose record a stage could not handle."""


def refuse(
    parcel: Parcel, value: bytes, why: LineRefusal, *, source: str, now_ms: int
) -> list[Outgoing]:
    """Return the results of all lines of `parcel`, whose bodies are `value`. It returns for every value."""
    body = _body(why)
    ends = []
    raws = split_lines(value)
    raws += [b""] * (len(parcel.lines) - len(raws))
    for number, raw in zip(parcel.lines, raws, strict=False):
        end = failed(parcel.request_id_of(number), custom_id_of(raw), why.status, why.code, body)
        result = end.result(number, parcel.model, parcel.created_at_ms, now_ms)
        ends.append((result, end.line))
    return result_records(parcel, parcel.lane, ends, source=source, now_ms=now_ms)


def give_up(parcel: Parcel, value: bytes, *, source: str, now_ms: int) -> list[Outgoing]:
    """Return the ends of a parcel that is kept as a dead letter: an error for each line, and the end of its hold.

    It returns for every parcel.
    """
    has_id = parcel.batch_id or parcel.request_id
    refused = refuse(parcel, value, SET_ASIDE, source=source, now_ms=now_ms) if has_id else ()
    return [*refused, *end_hold(parcel, source=source, now_ms=now_ms)]


def end_hold(parcel: Parcel, *, source: str, now_ms: int) -> list[Outgoing]:
    """Return the record that ends the hold of `parcel`, if it has one."""
    if parcel.hold is None:
        return []
    group = UsageGroup(executions=(), ended=(hold_end(parcel, parcel.lines),))
    headers = encode_headers(USAGE, source, parcel.parcel_id, now_ms, None)
    return [Outgoing(USAGE.name, parcel.account.encode(), group.to_json(), headers)]


def custom_id_of(line: bytes) -> str:
    """Return the `custom_id` of an input line, which is not longer than in a checked one; empty if it has none."""
    try:
        return str(from_json(line)["custom_id"])[:MAX_CUSTOM_ID]
    except (ValueError, LookupError, TypeError):
        return ""


def _body(why: LineRefusal) -> bytes:
    error: dict[str, object] = {
        "message": why.message,
        "type": why.kind,
        "param": why.param,
        "code": why.code,
    }
    if why.retry_after_s is not None:
        error["retry_after"] = why.retry_after_s
    if why.metadata is not None:
        error["metadata"] = why.metadata
    return compact_json({"error": error})
