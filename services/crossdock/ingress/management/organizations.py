"""/v1/organization, /v1/organizations and /v1/projects."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from crossdock.ingress.commands.account_commands import AccountCommands, sign
from crossdock.ingress.http.auth import principal_of
from crossdock.ingress.http.body import CONTROL_BYTES, read_body
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.http.scopes import find_project
from crossdock.ingress.values import errors
from crossdock.ingress.values.checks import Json
from crossdock.ingress.values.management_bodies import (
    check_flag,
    check_known,
    check_name,
    check_networks,
    check_seconds,
    check_tags,
)
from crossdock.ingress.values.management_objects import show_organization, show_project
from crossdock.ingress.values.responses import answer_json
from crossdock.ingress.values.validation import parse_object
from crossdock.kernel.requests.api_keys import digest, label_of, make_plain_key
from crossdock_schemas.accounts.account import ApiKey, Organization, Project, Role
from crossdock_schemas.accounts.control import (
    OrganizationAsked,
    OrganizationChange,
    ProjectAsked,
    ProjectChange,
)
from crossdock_schemas.ids import (
    make_account_id,
    make_key_id,
    make_project_id,
)

MAX_LIFE_S = 10 * 365 * 86_400
CREATED = 201


class OrganizationRoutes:
    """The organization of the key that asks, its projects, and, for the operator's owners, other organizations."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._commands = AccountCommands(context)

    def routes(self) -> list[Route]:
        return [
            Route("/v1/organization", self.retrieve, methods=["GET"]),
            Route("/v1/organization", self.change, methods=["PATCH"]),
            Route("/v1/organizations", self.create, methods=["POST"]),
            Route("/v1/projects", self.list_projects, methods=["GET"]),
            Route("/v1/projects", self.create_project, methods=["POST"]),
            Route("/v1/projects/{id}", self.retrieve_project, methods=["GET"]),
            Route("/v1/projects/{id}", self.change_project, methods=["PATCH"]),
        ]

    async def retrieve(self, request: Request) -> Response:
        return answer_json({"data": show_organization(self._own(request))})

    async def change(self, request: Request) -> Response:
        old = self._own(request)
        body = await _body(request, ("name", "max_key_life_s", "allowed_ips"))
        who, now_ms = principal_of(request), self._context.clock.now_ms()
        command = OrganizationChange(
            **sign(who, now_ms),
            name=check_name(body) if body.get("name") is not None else None,
            max_key_life_s=check_seconds(body, "max_key_life_s", default=None, highest=MAX_LIFE_S),
            allowed_ips=check_networks(body),
        )
        await self._commands.apply(command, lambda: self._own(request) != old, who.account)
        return answer_json({"data": show_organization(self._own(request))})

    async def create(self, request: Request) -> Response:
        body = await _body(request, ("name", "project_name"))
        who, now_ms = principal_of(request), self._context.clock.now_ms()
        account = make_account_id(now_ms)
        project = make_project_id(now_ms)
        secret = self._context.settings.key_secret.get_secret_value()
        plain = make_plain_key(account, secret, now_ms)
        organization = Organization(
            account=account, name=check_name(body), created_at_ms=now_ms, updated_at_ms=now_ms
        )
        owner = ApiKey(
            key_id=make_key_id(now_ms),
            hash=digest(plain),
            label=label_of(plain),
            account=account,
            project=project,
            name="owner",
            role=Role.OWNER,
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
        name = check_name(body, "project_name") if body.get("project_name") else "default"
        command = OrganizationAsked(
            **sign(who, now_ms),
            organization=organization,
            project=Project(
                account=account,
                project=project,
                name=name,
                created_at_ms=now_ms,
                updated_at_ms=now_ms,
            ),
            keys=(owner,),
        )
        keys = self._context.accounts.keys
        await self._commands.apply(
            command, lambda: owner.key_id in keys, owner.key_id, account=account
        )
        shown = show_organization(organization)
        return answer_json({"data": shown, "key": plain}, status=CREATED)

    async def list_projects(self, request: Request) -> Response:
        who = principal_of(request)
        found = [
            project
            for project in self._context.accounts.projects.values()
            if project.account == who.account and who.sees_project(project.project)
        ]
        found.sort(key=lambda project: (project.created_at_ms, project.project))
        return answer_json({"data": [show_project(project) for project in found]})

    async def create_project(self, request: Request) -> Response:
        body = await _body(request, ("name", "tags"))
        who, now_ms = principal_of(request), self._context.clock.now_ms()
        project = Project(
            account=who.account,
            project=make_project_id(now_ms),
            name=check_name(body),
            tags=check_tags(body) or {},
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
        command = ProjectAsked(
            **sign(who, now_ms),
            project=project,
        )
        projects = self._context.accounts.projects
        await self._commands.apply(command, lambda: project.project in projects, project.project)
        return answer_json({"data": show_project(project)}, status=CREATED)

    async def retrieve_project(self, request: Request) -> Response:
        return answer_json({"data": show_project(self._find(request))})

    async def change_project(self, request: Request) -> Response:
        old = self._find(request)
        body = await _body(request, ("name", "disabled", "tags"))
        who, now_ms = principal_of(request), self._context.clock.now_ms()
        command = ProjectChange(
            **sign(who, now_ms),
            project=old.project,
            name=check_name(body) if body.get("name") is not None else None,
            disabled=check_flag(body, "disabled"),
            tags=check_tags(body),
        )
        await self._commands.apply(command, lambda: self._find(request) != old, old.project)
        return answer_json({"data": show_project(self._find(request))})

    def _own(self, request: Request) -> Organization:
        account = principal_of(request).account
        organization = self._context.accounts.organizations.get(account)
        if organization is None:
            raise errors.no_such("Organization", account)
        return organization

    def _find(self, request: Request) -> Project:
        return find_project(
            self._context.accounts, principal_of(request), request.path_params["id"]
        )


async def _body(request: Request, known: tuple[str, ...]) -> Json:
    body = parse_object(await read_body(request, CONTROL_BYTES))
    check_known(body, known)
    return body
