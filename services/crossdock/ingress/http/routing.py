"""The check of the key inside each route: a 404 and a 405 come first, as OpenAI's API answers them."""

from collections.abc import Iterable

from starlette.requests import Request
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from crossdock.ingress.http.auth import SCOPE, Authentication
from crossdock.ingress.http.routes import ApiRoute
from crossdock.ingress.values.operations import Access


class Authenticated:
    """Checks the key before the body is read."""

    def __init__(self, app: ASGIApp, authentication: Authentication, access: Access) -> None:
        self._app = app
        self._authentication = authentication
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[SCOPE] = await self._authentication.check(scope, self._access)
        await self._app(scope, receive, send)


def check_keys(routes: Iterable[ApiRoute], authentication: Authentication) -> None:
    """Let each route check the key, except those that need none."""
    for route in routes:
        access = route.operation.access
        if access is not Access.NONE:
            route.app = Authenticated(route.app, authentication, access)


def allowed_methods(request: Request) -> list[str]:
    """Return every method of the request's path; Starlette names those of the first route alone."""
    routes: list[BaseRoute] = request.app.routes
    return sorted(
        {
            method
            for route in routes
            if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
            for method in route.methods or ()
        }
    )
