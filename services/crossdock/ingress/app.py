"""The HTTP application: the routes with the check of the key, response headers and error handlers."""

import json
from functools import cache

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from crossdock.ingress.http.auth import Authentication
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.http.middleware import HANDLERS, ResponseHeaders
from crossdock.ingress.http.routes import routes_of
from crossdock.ingress.http.routing import check_keys
from crossdock.ingress.openai.batches import BatchRoutes
from crossdock.ingress.openai.completions import RequestRoutes
from crossdock.ingress.openai.files import FileRoutes
from crossdock.ingress.openai.models import ModelRoutes
from crossdock.ingress.openai.uploads import UploadRoutes
from crossdock.ingress.openapi.document import document
from crossdock.ingress.resources import OPERATIONS, RESOURCES
from crossdock.ingress.values.responses import answer_raw


def make_app(context: ApiContext) -> ResponseHeaders:
    """Return the ASGI application that serves `context`."""
    routes = [
        *RequestRoutes(context).routes(),  # first: Starlette tries routes in order
        *BatchRoutes(context).routes(),
        *FileRoutes(context).routes(),
        *UploadRoutes(context).routes(),
        *ModelRoutes(context.catalogue).routes(),
        *(route for resource in RESOURCES for route in routes_of(resource(context))),
        Route("/healthz", _healthz, methods=["GET"]),
        Route("/openapi.json", _openapi, methods=["GET"]),
    ]
    secret = context.settings.key_secret.get_secret_value()
    check_keys(routes, Authentication(context.accounts, secret, context.clock))
    app = Starlette(routes=routes, exception_handlers=HANDLERS)
    app.router.redirect_slashes = False
    return ResponseHeaders(app, context.clock)


async def _healthz(_request: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _openapi(_request: Request) -> Response:
    return answer_raw(_document())


@cache
def _document() -> bytes:
    return json.dumps(document(OPERATIONS), separators=(",", ":")).encode()
