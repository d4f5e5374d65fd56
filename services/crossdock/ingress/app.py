"""The HTTP application: the routes with the check of the key, response headers and error handlers."""

import json
from functools import cache

from starlette.applications import Starlette

from crossdock.ingress.http.auth import Authentication
from crossdock.ingress.http.clients import Clients
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.http.middleware import HANDLERS, ResponseHeaders
from crossdock.ingress.http.routes import routes_of
from crossdock.ingress.http.routing import check_keys
from crossdock.ingress.openapi.document import document
from crossdock.ingress.resources import OPERATIONS, RESOURCES


def make_app(context: ApiContext) -> ResponseHeaders:
    """Return the ASGI application that serves `context`."""
    routes = [
        route for resource in RESOURCES for route in routes_of(resource(context), context.gate)
    ]
    secret = context.settings.key_secret.get_secret_value()
    clients = Clients(context.settings.trusted_proxies)
    check_keys(routes, Authentication(context.accounts, secret, context.clock, clients))
    app = Starlette(routes=routes, exception_handlers=HANDLERS)
    app.router.redirect_slashes = False
    app.state.document = _document
    return ResponseHeaders(app, context.clock)


@cache
def _document() -> bytes:
    return json.dumps(document(OPERATIONS), separators=(",", ":")).encode()
