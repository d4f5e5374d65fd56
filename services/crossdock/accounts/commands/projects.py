"""Commands for projects. Pure."""

from crossdock.accounts.commands.decision import (
    Decision,
    Refused,
    cancel,
    changed,
    given,
    taken,
    unknown,
)
from crossdock.accounts.state.account import AccountState
from crossdock_schemas.accounts.control import ProjectAsked, ProjectChange, Refusal
from crossdock_schemas.calls.cancel import Cancelled

MAX_PROJECTS = 1_000


def create_project(state: AccountState, command: ProjectAsked) -> Decision | Refused:
    project = command.project
    if len(state.projects) >= MAX_PROJECTS:
        reason = f"An organization has {MAX_PROJECTS} projects at most."
        return Refused(project.project, Refusal.CONFLICT, reason)
    if project.project in state.projects:
        return taken(project.project)
    if any(other.name == project.name for other in state.projects.values()):
        reason = f"There is a project of the name {project.name!r} already."
        return Refused(project.project, Refusal.CONFLICT, reason)
    return Decision(project.project, (project,))


def change_project(state: AccountState, command: ProjectChange) -> Decision | Refused:
    project = state.projects.get(command.project)
    if project is None:
        return unknown("project", command.project)
    renewed = changed(state, project, given(command, "name", "disabled", "tags"))
    cancels: tuple[Cancelled, ...] = ()
    if renewed.disabled != project.disabled:
        keys = [k for k in state.keys.values() if k.project == project.project and not k.disabled]
        cancels = tuple(cancel(state, key, is_lifted=project.disabled) for key in keys)
    return Decision(command.project, (renewed,), cancels=cancels)
