"""Scopes: the organization, the project or the key that a policy or a budget binds, and who sees it."""

from starlette.requests import Request

from crossdock.ingress import refusals
from crossdock.ingress.accounts import AccountsView
from crossdock.ingress.principal import Principal, principal_of
from crossdock_schemas.account import Project
from crossdock_schemas.ids import KeyId, ProjectId


def find_scope(view: AccountsView, request: Request) -> str:
    """Return the id in the request's path.

    Raises:
        RefusedError: 404 if it names nothing that exists for whoever asks.
    """
    scope: str = request.path_params["id"]
    if not is_visible(view, principal_of(request), scope):
        raise refusals.no_such("Organization, project or key", scope)
    return scope


def find_project(view: AccountsView, who: Principal, identifier: str) -> Project:
    """Return a project by its id.

    Raises:
        RefusedError: 404 if there is none that `who` sees.
    """
    project = view.projects.get(ProjectId(identifier))
    is_own = project is not None and project.account == who.account
    if project is None or not is_own or not who.sees_project(project.project):
        raise refusals.no_such("Project", identifier)
    return project


def is_visible(view: AccountsView, who: Principal, scope: str) -> bool:
    if scope == who.account:
        return True
    key = view.keys.get(KeyId(scope))
    project = view.projects.get(key.project if key is not None else ProjectId(scope))
    return (
        project is not None and project.account == who.account and who.sees_project(project.project)
    )
