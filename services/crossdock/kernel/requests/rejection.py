"""The end of lines that no provider is asked for, told by the stage that refuses them. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic_core import from_json

from crossdock.kernel.process.record import Outgoing
from crossdock_schemas.codec import encode_headers
from crossdock_schemas.ids import RequestId
from crossdock_schemas.parcel.parcel import Parcel, split_lines
from crossdock_schemas.parcel.result import Outcome, Result, ResultGroup
from crossdock_schemas.topics import BATCH_RESULTS, RESULTS


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why: what the caller sees, in OpenAI's envelope."""

    status: int
    code: str
    message: str
    kind: str = "invalid_request_error"
    param: str | None = None
    retry_after_s: int | None = None
    """In how many seconds it is worth to ask again; None: nobody can tell."""
    metadata: Mapping[str, object] | None = field(default=None, hash=False)
    """What programs may want to know of it, such as `excluded_by`."""


def refuse(parcel: Parcel, value: bytes, why: Refusal, *, source: str, now_ms: int) -> Outgoing:
    """Return the results of all lines of `parcel`, whose bodies are `value`.

    Raises:
        ValueError: if `value` does not hold the lines that `parcel` names.
    """
    lines, results = [], []
    for number, raw in zip(parcel.lines, split_lines(value), strict=True):
        request_id = parcel.request_id_of(number)
        custom_id = str(from_json(raw).get("custom_id", ""))
        lines.append(_line(request_id, custom_id, why))
        results.append(_result(parcel, request_id, number, custom_id, why, now_ms))
    topic = RESULTS if parcel.batch_id is None else BATCH_RESULTS
    group = ResultGroup(
        account=parcel.account,
        project=parcel.project,
        key_id=parcel.key_id,
        lane=parcel.lane,
        operation=parcel.operation,
        batch_id=parcel.batch_id,
        results=tuple(results),
    )
    key = (parcel.batch_id or results[0].request_id).encode()
    headers = encode_headers(topic, source, results[0].request_id, now_ms, group)
    return Outgoing(topic.name, key, b"\n".join(lines), headers)


def _line(request_id: RequestId, custom_id: str, why: Refusal) -> bytes:
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
    response = {"status_code": why.status, "request_id": request_id, "body": {"error": error}}
    line = {"id": request_id, "custom_id": custom_id, "response": response, "error": None}
    return json.dumps(line, separators=(",", ":")).encode()


def _result(  # noqa: PLR0917  # the result's fields
    parcel: Parcel, request_id: RequestId, number: int, custom_id: str, why: Refusal, now_ms: int
) -> Result:
    return Result(
        request_id=request_id,
        line=number,
        custom_id=custom_id,
        outcome=Outcome.FAILED,
        status_code=why.status,
        error_code=why.code,
        model=parcel.model,
        created_at_ms=parcel.created_at_ms,
        finished_at_ms=now_ms,
    )
