"""Results of lines that a stage refuses before any provider is called. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic_core import from_json

from crossdock.kernel.process.record import Outgoing
from crossdock.kernel.requests.results import result_record
from crossdock_schemas.parcel.output_line import compact_json, failed
from crossdock_schemas.parcel.parcel import Parcel, split_lines
from crossdock_schemas.parcel.result import result_group


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


def refuse(parcel: Parcel, value: bytes, why: LineRefusal, *, source: str, now_ms: int) -> Outgoing:
    """Return the results of all lines of `parcel`, whose bodies are `value`.

    Raises:
        ValueError: if `value` does not hold the lines that `parcel` names.
    """
    body = _body(why)
    lines, results = [], []
    for number, raw in zip(parcel.lines, split_lines(value), strict=True):
        custom_id = str(from_json(raw).get("custom_id", ""))
        end = failed(parcel.request_id_of(number), custom_id, why.status, why.code, body)
        lines.append(end.line)
        results.append(end.result(number, parcel.model, parcel.created_at_ms, now_ms))
    group = result_group(parcel, parcel.lane, results)
    return result_record(group, lines, source=source, now_ms=now_ms)


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
