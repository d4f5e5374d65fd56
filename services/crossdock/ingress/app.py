"""The HTTP application: the routes with the check of the key, response headers and error handlers."""

import json
from functools import cache

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from crossdock.ingress.http.auth import Authentication
from crossdock.ingress.http.context import Dock
from crossdock.ingress.http.middleware import HANDLERS, ResponseHeaders
from crossdock.ingress.http.routing import check_keys
from crossdock.ingress.management.budgets import BudgetRoutes
from crossdock.ingress.management.byok import CredentialRoutes
from crossdock.ingress.management.credits import CreditRoutes
from crossdock.ingress.management.keys import KeyRoutes
from crossdock.ingress.management.organizations import OrganizationRoutes
from crossdock.ingress.management.policies import PolicyRoutes
from crossdock.ingress.management.presets import PresetRoutes
from crossdock.ingress.management.stripe_webhook import CallbackRoutes
from crossdock.ingress.openai.batches import BatchRoutes
from crossdock.ingress.openai.completions import RequestRoutes
from crossdock.ingress.openai.files import FileRoutes
from crossdock.ingress.openai.models import ModelRoutes
from crossdock.ingress.openai.uploads import UploadRoutes
from crossdock.ingress.openapi.document import document
from crossdock.ingress.values.responses import answer_raw


def make_app(dock: Dock) -> ResponseHeaders:
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
        *PresetRoutes(dock).routes(),
        *CredentialRoutes(dock).routes(),
        *CreditRoutes(dock).routes(),
        *CallbackRoutes(dock).routes(),
        Route("/healthz", _healthz, methods=["GET"]),
        Route("/openapi.json", _openapi, methods=["GET"]),
    ]
    secret = dock.settings.key_secret.get_secret_value()
    check_keys(routes, Authentication(dock.accounts, secret, dock.clock))
    app = Starlette(routes=routes, exception_handlers=HANDLERS)
    app.router.redirect_slashes = False
    return ResponseHeaders(app, dock.clock)


async def _healthz(_request: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _openapi(_request: Request) -> Response:
    return answer_raw(_document())


@cache
def _document() -> bytes:
    return json.dumps(document(), separators=(",", ":")).encode()
