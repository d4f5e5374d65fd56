"""/v1/organization, /v1/organizations and /v1/projects."""

from types import MappingProxyType

from starlette.requests import Request

from crossdock.ingress.commands.account_commands import AccountCommands, guard, sign
from crossdock.ingress.http.auth import principal_of
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.http.scopes import find_project
from crossdock.ingress.management import organization_models as models
from crossdock.ingress.values import errors, types
from crossdock.ingress.values.models import ForceQuery
from crossdock.ingress.values.operations import ADMINS, OWNERS, operation
from crossdock.ingress.values.specimens import NONE_SUCH
from crossdock.kernel.requests.api_keys import digest, label_of, make_plain_key
from crossdock_schemas.accounts.account import ApiKey, Organization, Project, Role
from crossdock_schemas.accounts.control import (
    OrganizationAsked,
    OrganizationChange,
    ProjectAsked,
    ProjectChange,
)
from crossdock_schemas.ids import make_account_id, make_key_id, make_project_id

_PROJECT = "/v1/projects/{id}"


class OrganizationRoutes:
    """The organization of the key that asks, its projects, and, for the operator's owners, other organizations."""

    tag = "organizations"
    ids = MappingProxyType({"id": types.ProjectId})

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._commands = AccountCommands(context)

    @operation(
        "GET",
        "/v1/organization",
        "get_organization",
        "Show the key's organization",
        errors=(NONE_SUCH,),
    )
    async def retrieve(self, request: Request) -> models.OrganizationAnswer:
        return models.OrganizationAnswer(data=models.show_organization(self._own(request)))

    @operation(
        "PATCH", "/v1/organization", "change_organization", "Change the key's organization",
        roles=OWNERS, example={"name": "Acme"},
        errors=(NONE_SUCH,),
    )  # fmt: skip
    async def change(
        self, request: Request, body: models.OrganizationUpdate, query: ForceQuery
    ) -> models.OrganizationAnswer:
        old = self._own(request)
        who, now_ms = principal_of(request), self._context.clock.now_ms()
        command = OrganizationChange(**guard(request, query, now_ms), **body.given())
        await self._commands.apply(command, lambda: self._own(request) != old, who.account)
        return models.OrganizationAnswer(data=models.show_organization(self._own(request)))

    @operation(
        "POST", "/v1/organizations", "create_organization", "Create an organization",
        text="For owners of the installation's first organization.", roles=OWNERS,
        example={"name": "Globex"}, status=201,
    )  # fmt: skip
    async def create(
        self, request: Request, body: models.OrganizationCreate
    ) -> models.OrganizationCreated:
        who, now_ms = principal_of(request), self._context.clock.now_ms()
        account, project = make_account_id(now_ms), make_project_id(now_ms)
        secret = self._context.settings.key_secret.get_secret_value()
        plain = make_plain_key(account, secret, now_ms)
        made = {"account": account, "created_at_ms": now_ms, "updated_at_ms": now_ms}
        organization = Organization(name=body.name, **made)
        owner = ApiKey(
            key_id=make_key_id(now_ms),
            hash=digest(plain),
            label=label_of(plain),
            project=project,
            name="owner",
            role=Role.OWNER,
            **made,
        )
        first = Project(project=project, name=body.project_name or "default", **made)
        command = OrganizationAsked(
            **sign(who, now_ms), organization=organization, project=first, keys=(owner,)
        )
        keys = self._context.accounts.keys
        await self._commands.apply(
            command, lambda: owner.key_id in keys, owner.key_id, account=account
        )
        return models.OrganizationCreated(data=models.show_organization(organization), key=plain)

    @operation(
        "GET", "/v1/projects", "list_projects", "List projects", text="A member sees its own.",
    )  # fmt: skip
    async def list_projects(self, request: Request) -> models.ProjectsAnswer:
        who = principal_of(request)
        found = [
            project
            for project in self._context.accounts.projects.values()
            if project.account == who.account and who.sees_project(project.project)
        ]
        found.sort(key=lambda project: (project.created_at_ms, project.project))
        return models.ProjectsAnswer(data=tuple(map(models.ProjectObject.of, found)))

    @operation(
        "POST", "/v1/projects", "create_project", "Create a project", roles=ADMINS,
        example={"name": "staging"}, status=201,
    )  # fmt: skip
    async def create_project(
        self, request: Request, body: models.ProjectCreate
    ) -> models.ProjectAnswer:
        who, now_ms = principal_of(request), self._context.clock.now_ms()
        project = Project(
            account=who.account,
            project=make_project_id(now_ms),
            name=body.name,
            tags=body.tags or {},
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
        command = ProjectAsked(**sign(who, now_ms), project=project)
        projects = self._context.accounts.projects
        await self._commands.apply(command, lambda: project.project in projects, project.project)
        return models.ProjectAnswer(data=models.ProjectObject.of(project))

    @operation("GET", _PROJECT, "get_project", "Show a project")
    async def retrieve_project(self, request: Request) -> models.ProjectAnswer:
        return models.ProjectAnswer(data=models.ProjectObject.of(self._find(request)))

    @operation(
        "PATCH", _PROJECT, "change_project", "Change a project", roles=ADMINS,
        example={"name": "production"},
    )  # fmt: skip
    async def change_project(
        self, request: Request, body: models.ProjectUpdate, query: ForceQuery
    ) -> models.ProjectAnswer:
        old = self._find(request)
        signed = guard(request, query, self._context.clock.now_ms())
        command = ProjectChange(**signed, project=old.project, **body.given())
        await self._commands.apply(command, lambda: self._find(request) != old, old.project)
        return models.ProjectAnswer(data=models.ProjectObject.of(self._find(request)))

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
