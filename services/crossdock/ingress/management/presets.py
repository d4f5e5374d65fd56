"""/v1/presets: named settings of requests, of an organization or a project."""

from types import MappingProxyType

from starlette.requests import Request

from crossdock.ingress.commands.account_commands import AccountCommands
from crossdock.ingress.http.auth import principal_of
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.http.scopes import find_scope, is_visible
from crossdock.ingress.management import preset_models as models
from crossdock.ingress.values import errors, types
from crossdock.ingress.values.models import Deleted
from crossdock.ingress.values.operations import ADMINS, Access, operation
from crossdock.ingress.values.specimens import DEMANDS
from crossdock.ingress.values.validation import read_value
from crossdock_schemas.accounts.control import PresetChange, PresetRemoval
from crossdock_schemas.accounts.directory import preset_id
from crossdock_schemas.accounts.preset import Preset

_PATH = "/v1/presets/{id}/{slug}"


class PresetRoutes:
    """Presets, each under the id of its organization or project and its slug."""

    tag = "presets"
    ids = MappingProxyType({"id": types.PresetScopeId, "slug": models.PresetSlug})

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._commands = AccountCommands(context)

    @operation(
        "GET", "/v1/presets", "list_presets", "List the presets that the key may see",
        access=Access.EVERY,
    )  # fmt: skip
    async def list(self, request: Request) -> models.PresetsAnswer:
        who, view = principal_of(request), self._context.accounts
        found = [
            preset
            for scope, presets in view.presets.items()
            if is_visible(view, who, scope)
            for preset in presets.values()
        ]
        found.sort(key=lambda preset: preset.version)
        return models.PresetsAnswer(
            data=tuple(map(models.show_preset, found)), total_count=len(found)
        )

    @operation("GET", _PATH, "get_preset", "Show a preset", access=Access.EVERY)
    async def retrieve(self, request: Request) -> models.PresetAnswer:
        return models.PresetAnswer(data=models.show_preset(self._find(*self._named(request))))

    @operation(
        "PUT", _PATH, "set_preset", "Set a preset of an organization or a project, as a whole",
        roles=ADMINS, example={"model": "tern-mini", "parameters": {"temperature": 0}},
        errors=(DEMANDS,),
    )  # fmt: skip
    async def set(self, request: Request, body: models.PresetSet) -> models.PresetAnswer:
        return await self._set(request, body, None)

    @operation(
        "PATCH", _PATH, "change_preset", "Change settings of a preset",
        text="A preset that does not exist is made.", roles=ADMINS,
        example={"parameters": {"temperature": 0}}, errors=(DEMANDS,),
    )  # fmt: skip
    async def change(self, request: Request, body: models.PresetUpdate) -> models.PresetAnswer:
        return await self._set(request, body, body.kept())

    async def _set(
        self, request: Request, body: models.PresetSet, kept: tuple[str, ...] | None
    ) -> models.PresetAnswer:
        scope, slug = self._named(request)
        signed = self._commands.sign(request)
        sound = read_value(models.PresetSlug, slug, "slug")
        settings = body.settings()
        command = PresetChange(**signed, scope=scope, slug=sound, settings=settings, kept=kept)
        old = self._get(scope, slug)
        await self._commands.apply(
            command, lambda: self._get(scope, slug) != old, preset_id(scope, slug)
        )
        return models.PresetAnswer(data=models.show_preset(self._find(scope, slug)))

    @operation("DELETE", _PATH, "clear_preset", "Remove a preset", roles=ADMINS)
    async def clear(self, request: Request) -> Deleted:
        preset = self._find(*self._named(request))
        scope, slug = preset.scope, preset.slug
        signed = self._commands.sign(request)
        command = PresetRemoval(**signed, scope=scope, slug=slug)
        await self._commands.apply(
            command, lambda: self._get(scope, slug) is None, preset_id(scope, slug)
        )
        return Deleted()

    def _named(self, request: Request) -> tuple[str, str]:
        return find_scope(self._context.accounts, request), request.path_params["slug"]

    def _get(self, scope: str, slug: str) -> Preset | None:
        return self._context.accounts.presets.get(scope, {}).get(slug)

    def _find(self, scope: str, slug: str) -> Preset:
        preset = self._get(scope, slug)
        if preset is None:
            raise errors.no_such("Preset", f"{scope}/{slug}")
        return preset
