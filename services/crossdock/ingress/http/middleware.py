"""The outermost layer of every response: the request's id, its duration, and errors in OpenAI's envelope."""

import time

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ExceptionHandler, Message, Receive, Scope, Send

from crossdock.ingress.http.routing import allowed_methods
from crossdock.ingress.values import errors
from crossdock.ingress.values.errors import RefusedError, make_envelope
from crossdock.ingress.values.responses import answer_raw
from crossdock.kernel.process import metrics
from crossdock.kernel.process.clock import Clock
from crossdock.kernel.process.errors import NoSuchObjectError, StoreError, UndecodableError
from crossdock_schemas.ids import make_request_id

log: structlog.stdlib.BoundLogger = structlog.get_logger()

METHOD_NOT_ALLOWED = 405
CLIENT_GONE = 499


class ResponseHeaders:
    """ASGI around ASGI: adds the request's id and its duration to every response, and counts it."""

    def __init__(self, app: Starlette, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    @property
    def routes(self) -> list[BaseRoute]:
        return self._app.routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._finish(scope, message, time.monotonic() - started)
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _finish(self, scope: Scope, message: Message, took_s: float) -> None:
        request_id = scope.get("crossdock.request_id") or make_request_id(self._clock.now_ms())
        message["headers"] = [
            *message.get("headers", ()),
            (b"x-request-id", request_id.encode()),
            (b"openai-processing-ms", str(int(took_s * 1000)).encode()),
        ]
        route = scope.get("route")
        path = getattr(route, "path", "none")
        metrics.HTTP_REQUESTS.labels(path, str(message["status"])).inc()


def answer_refusal(refusal: RefusedError) -> Response:
    return answer_raw(refusal.body, status=refusal.status, headers=refusal.headers)


def _on_refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RefusedError):
        raise error
    return answer_refusal(error)


def _on_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    where = f"{request.method} {request.url.path}"
    messages = {
        404: f"Invalid URL ({where})",
        405: f"Not allowed to {where}. (HINT: Perhaps you meant to use a different HTTP method?)",
    }
    message = messages.get(error.status_code, error.detail)
    body = make_envelope(message, errors.INVALID, None, None)
    is_method = error.status_code == METHOD_NOT_ALLOWED
    headers = {"allow": ", ".join(allowed_methods(request))} if is_method else error.headers
    return answer_raw(body, status=error.status_code, headers=headers)


def _on_missing_object(request: Request, _error: Exception) -> Response:
    return answer_refusal(errors.no_such("File", request.path_params.get("id", "")))


def _on_store(_request: Request, error: Exception) -> Response:
    log.error("store.refused", reason=str(error))
    return answer_refusal(errors.unavailable("The object store"))


def _on_undecodable(_request: Request, error: Exception) -> Response:
    log.error("result.undecodable", reason=str(error))
    return _on_failure(_request, error)


def _on_gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=CLIENT_GONE)


def _on_failure(_request: Request, _error: Exception) -> Response:
    message = "The server had an error while processing your request."
    return answer_raw(make_envelope(message, "server_error", None, None), status=500)


HANDLERS: dict[type[Exception] | int, ExceptionHandler] = {
    RefusedError: _on_refused,
    HTTPException: _on_http,
    NoSuchObjectError: _on_missing_object,
    StoreError: _on_store,
    UndecodableError: _on_undecodable,
    ClientDisconnect: _on_gone,
    500: _on_failure,
}
