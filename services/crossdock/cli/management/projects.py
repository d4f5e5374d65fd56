"""crossdock projects: list, create, show, update."""

from typing import Annotated, Any

import typer

from crossdock.cli.management.resource import Resource
from crossdock.cli.shared.management_client import Management
from crossdock.cli.shared.options import (
    DisableOption,
    ForceOption,
    NewNameOption,
    NewTagOption,
    TagOption,
    tags_of,
)

ProjectName = Annotated[str, typer.Argument(help="Its id, see `list`.", metavar="ID")]
projects = Resource(
    "projects",
    help="Projects: each key, file and batch belongs to one.",
    columns=(("project", "id"), "name", "disabled", "tags", "created_at"),
    folded="name",
    names={"project": ProjectName},
)
app = projects.app
projects.add_list("List projects.")
projects.add_show("Show a project.")


@projects.command("create")
def create(
    management: Management,
    name: Annotated[str, typer.Argument(help="Such as production.")],
    tag: TagOption = None,
) -> Any:
    """Create a project."""
    return management.create("projects", body={"name": name, "tags": tags_of(tag)})["data"]


@projects.command("update")
def update(
    management: Management,
    project: ProjectName,
    name: NewNameOption = None,
    disabled: DisableOption = None,
    tag: NewTagOption = None,
    force: ForceOption = False,
) -> Any:
    """Rename, suspend or resume a project, or change its tags."""
    body = {"name": name, "disabled": disabled, "tags": tags_of(tag)}
    return management.change("projects", project, body=body, force=force)
