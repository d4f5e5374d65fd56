"""The HTTP face: routes, and around them the key, the ids and the errors."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from crossdock.ingress.batches import BatchRoutes
from crossdock.ingress.budgets import BudgetRoutes
from crossdock.ingress.callbacks import CallbackRoutes
from crossdock.ingress.credits import CreditRoutes
from crossdock.ingress.dock import Dock
from crossdock.ingress.face import HANDLERS, Face
from crossdock.ingress.files import FileRoutes
from crossdock.ingress.keys import KeyRoutes
from crossdock.ingress.models import ModelRoutes
from crossdock.ingress.organizations import OrganizationRoutes
from crossdock.ingress.policies import PolicyRoutes
from crossdock.ingress.principal import Authentication
from crossdock.ingress.requests import RequestRoutes
from crossdock.ingress.uploads import UploadRoutes


def make_app(dock: Dock) -> Face:
    """Return the ASGI application that serves `dock`."""
    routes = [
        *RequestRoutes(dock).routes(),  # first: Starlette tries routes in order
        *BatchRoutes(dock).routes(),
        *FileRoutes(dock).routes(),
        *UploadRoutes(dock).routes(),
        *ModelRoutes(dock.catalogue).routes(),
        *KeyRoutes(dock).routes(),
        *OrganizationRoutes(dock).routes(),
        *PolicyRoutes(dock).routes(),
        *BudgetRoutes(dock).routes(),
        *CreditRoutes(dock).routes(),
        *CallbackRoutes(dock).routes(),
        Route("/healthz", _healthz, methods=["GET"]),
    ]
    app = Starlette(routes=routes, exception_handlers=HANDLERS)
    app.router.redirect_slashes = False
    secret = dock.settings.key_secret.get_secret_value()
    return Face(app, Authentication(dock.accounts, secret, dock.clock), dock.clock)


async def _healthz(_request: Request) -> Response:
    return PlainTextResponse("ok\n")
