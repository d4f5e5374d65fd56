"""The end of lines that nobody in the catalogue serves: it changed since they were checked. Pure."""

import json

from pydantic_core import from_json

from crossdock.kernel.record import Outgoing
from crossdock.router.policy import NoRoute
from crossdock_schemas.codec import encode_headers
from crossdock_schemas.ids import RequestId
from crossdock_schemas.parcel import Parcel, split_lines
from crossdock_schemas.result import Outcome, Result, ResultGroup
from crossdock_schemas.topics import BATCH_RESULTS, RESULTS

SOURCE = "crossdock/router"
STATUS = 404
CODE = "model_not_found"


def refuse(parcel: Parcel, value: bytes, why: NoRoute, now_ms: int) -> Outgoing:
    """Return the results of all lines of `parcel`, whose bodies are `value`.

    Raises:
        ValueError: if `value` does not hold the lines that `parcel` names.
    """
    lines, results = [], []
    for number, raw in zip(parcel.lines, split_lines(value), strict=True):
        request_id = parcel.request_id_of(number)
        custom_id = str(from_json(raw).get("custom_id", ""))
        lines.append(_line(request_id, custom_id, why))
        results.append(_result(parcel, request_id, number, custom_id, now_ms))
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
    headers = encode_headers(topic, SOURCE, results[0].request_id, now_ms, group)
    return Outgoing(topic.name, key, b"\n".join(lines), headers)


def _line(request_id: RequestId, custom_id: str, why: NoRoute) -> bytes:
    error = {
        "message": f"No endpoint serves the model {why.model!r} for {why.operation}.",
        "type": "invalid_request_error",
        "param": "model",
        "code": CODE,
    }
    response = {"status_code": STATUS, "request_id": request_id, "body": {"error": error}}
    line = {"id": request_id, "custom_id": custom_id, "response": response, "error": None}
    return json.dumps(line, separators=(",", ":")).encode()


def _result(
    parcel: Parcel, request_id: RequestId, number: int, custom_id: str, now_ms: int
) -> Result:
    return Result(
        request_id=request_id,
        line=number,
        custom_id=custom_id,
        outcome=Outcome.FAILED,
        status_code=STATUS,
        error_code=CODE,
        model=parcel.model,
        created_at_ms=parcel.created_at_ms,
        finished_at_ms=now_ms,
    )
