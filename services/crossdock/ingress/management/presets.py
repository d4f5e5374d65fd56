"""/v1/presets: named settings of requests, of an organization or a project."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from crossdock.ingress.commands.account_commands import AccountCommands, sign
from crossdock.ingress.http.auth import principal_of
from crossdock.ingress.http.body import CONTROL_BYTES, read_body
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.http.scopes import find_scope, is_visible
from crossdock.ingress.values import errors
from crossdock.ingress.values.management_objects import show_preset
from crossdock.ingress.values.preset_body import check_settings, check_slug
from crossdock.ingress.values.responses import answer_json
from crossdock.ingress.values.validation import parse_object
from crossdock_schemas.accounts.control import PresetChange, PresetRemoval
from crossdock_schemas.accounts.directory import preset_id
from crossdock_schemas.accounts.preset import Preset


class PresetRoutes:
    """Presets, each under the id of what it is for and its slug."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._commands = AccountCommands(context)

    def routes(self) -> list[Route]:
        return [
            Route("/v1/presets", self.list, methods=["GET"]),
            Route("/v1/presets/{id}/{slug}", self.retrieve, methods=["GET"]),
            Route("/v1/presets/{id}/{slug}", self.set, methods=["PUT"]),
            Route("/v1/presets/{id}/{slug}", self.clear, methods=["DELETE"]),
        ]

    async def list(self, request: Request) -> Response:
        who, view = principal_of(request), self._context.accounts
        found = [
            preset
            for scope, presets in view.presets.items()
            if is_visible(view, who, scope)
            for preset in presets.values()
        ]
        found.sort(key=lambda preset: preset.version)
        return answer_json({"data": [show_preset(preset) for preset in found]})

    async def retrieve(self, request: Request) -> Response:
        scope, slug = self._named(request)
        return answer_json({"data": show_preset(self._find(scope, slug))})

    async def set(self, request: Request) -> Response:
        scope, slug = self._named(request)
        settings = check_settings(parse_object(await read_body(request, CONTROL_BYTES)))
        command = PresetChange(
            **sign(principal_of(request), self._context.clock.now_ms()),
            scope=scope,
            slug=check_slug(slug),
            settings=settings,
        )
        old = self._get(scope, slug)
        await self._commands.apply(
            command, lambda: self._get(scope, slug) != old, preset_id(scope, slug)
        )
        return answer_json({"data": show_preset(self._find(scope, slug))})

    async def clear(self, request: Request) -> Response:
        preset = self._find(*self._named(request))
        scope, slug = preset.scope, preset.slug
        command = PresetRemoval(
            **sign(principal_of(request), self._context.clock.now_ms()), scope=scope, slug=slug
        )
        await self._commands.apply(
            command, lambda: self._get(scope, slug) is None, preset_id(scope, slug)
        )
        return answer_json({"deleted": True})

    def _named(self, request: Request) -> tuple[str, str]:
        return find_scope(self._context.accounts, request), request.path_params["slug"]

    def _get(self, scope: str, slug: str) -> Preset | None:
        return self._context.accounts.presets.get(scope, {}).get(slug)

    def _find(self, scope: str, slug: str) -> Preset:
        preset = self._get(scope, slug)
        if preset is None:
            raise errors.no_such("Preset", f"{scope}/{slug}")
        return preset
