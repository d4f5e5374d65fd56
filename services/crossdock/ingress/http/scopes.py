"""Scopes: the objects that policies and budgets bind, and the keys that see them."""

from starlette.requests import Request

from crossdock.ingress.http.auth import Principal, principal_of
from crossdock.ingress.values import errors
from crossdock.ingress.views.accounts import AccountsView
from crossdock_schemas.accounts.account import Project, Role
from crossdock_schemas.accounts.attribution import is_sound_mark
from crossdock_schemas.ids import KeyId, ProjectId


def find_scope(view: AccountsView, request: Request) -> str:
    """Return the id in the request's path.

    Raises:
        RefusedError: 404 if no object with this id exists for the key.
    """
    scope: str = request.path_params["id"]
    if not is_visible(view, principal_of(request), scope):
        raise errors.no_such("Organization, project or key", scope)
    return scope


def find_budgeted(view: AccountsView, request: Request) -> str:
    """Return the id in the request's path, or the scope of an end user or a tag, which need not be known.

    Raises:
        RefusedError: 404 if no object with this id exists for the key, or none that may have a budget.
    """
    scope: str = request.path_params["id"]
    if is_sound_mark(scope) and sees_marks(principal_of(request)):
        return scope
    return find_scope(view, request)


def sees_marks(who: Principal) -> bool:
    """Return whether a management key sees end users and tags, which belong to the whole organization."""
    return who.role is not Role.MEMBER


def find_project(view: AccountsView, who: Principal, identifier: str) -> Project:
    """Return a project by its id.

    Raises:
        RefusedError: 404 if the principal sees no such project.
    """
    project = view.projects.get(ProjectId(identifier))
    is_own = project is not None and project.account == who.account
    if project is None or not is_own or not who.sees_project(project.project):
        raise errors.no_such("Project", identifier)
    return project


def is_visible(view: AccountsView, who: Principal, scope: str) -> bool:
    if scope == who.account:
        return True
    key = view.keys.get(KeyId(scope))
    project = view.projects.get(key.project if key is not None else ProjectId(scope))
    return (
        project is not None and project.account == who.account and who.sees_project(project.project)
    )
