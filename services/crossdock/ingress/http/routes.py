"""Starlette's routes, made from the operations that resources declare."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from crossdock.ingress.http.auth import account_of
from crossdock.ingress.http.backpressure import Gate
from crossdock.ingress.http.body import CONTROL_BYTES, read_body
from crossdock.ingress.values.operations import Operation, operations_of
from crossdock.ingress.values.responses import answer_raw
from crossdock.ingress.values.validation import parse_object, read_model

Handle = Callable[..., Awaitable[BaseModel | Response]]


class ApiRoute(Route):
    """A route that knows the operation that it serves."""

    def __init__(self, operation: Operation, handle: Handle, gate: Gate) -> None:
        endpoint = _endpoint(operation, handle, gate)
        super().__init__(operation.path, endpoint, methods=[operation.method])
        self.operation = operation


def routes_of(resource: object, gate: Gate) -> Iterable[ApiRoute]:
    """Yield the routes of a resource: an object whose methods are declared with `operation`."""
    for name, operation in operations_of(type(resource)):
        yield ApiRoute(operation, getattr(resource, name), gate)


def _endpoint(
    operation: Operation, handle: Handle, gate: Gate
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        given: dict[str, Any] = {}
        if operation.query is not None:
            given["query"] = read_model(operation.query, dict(request.query_params))
        if operation.body is not None and operation.is_body_parsed:
            given["body"] = await _read_body(request, operation, operation.body, gate)
        answer = await handle(request, **given)
        if isinstance(answer, Response):
            return answer
        return answer_raw(answer.model_dump_json().encode(), status=operation.status)

    return endpoint


async def _read_body(
    request: Request, operation: Operation, kind: type[BaseModel], gate: Gate
) -> BaseModel:
    with gate.hold(account_of(request)) as held:
        raw = await read_body(request, CONTROL_BYTES, held)
        is_left_out = not raw and not operation.is_body_required
        return read_model(kind, {} if is_left_out else parse_object(raw))
