"""crossdock projects: list, create, show, update."""

import sys
from typing import Annotated

import typer

from crossdock.cli.shared.installation import DataDirOption
from crossdock.cli.shared.management_client import open_management
from crossdock.cli.shared.options import (
    DisableOption,
    JsonOption,
    NewNameOption,
    NewTagOption,
    TagOption,
    tags_of,
)
from crossdock.cli.shared.output import show_entry, show_json, show_rows

app = typer.Typer(help="Projects: each key, file and batch belongs to one.", no_args_is_help=True)
COLUMNS = ("project", "name", "disabled", "tags", "created")
FIELDS = ("id", "name", "disabled", "tags", "created_at")
ProjectName = Annotated[str, typer.Argument(help="As `list` shows it.", metavar="ID")]


@app.command("list")
def list_(ctx: typer.Context, as_json: JsonOption = False, data_dir_: DataDirOption = None) -> None:
    """List projects."""
    with open_management(ctx, data_dir_) as management:
        found = management.listed("projects")
    if as_json:
        show_json(found)
    elif found:
        rows = [[project[field] for field in FIELDS] for project in found]
        show_rows(COLUMNS, rows, folded="name")
    else:
        sys.stderr.write("no projects\n")


@app.command()
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Such as production.")],
    tag: TagOption = None,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Create a project."""
    body = {"name": name, "tags": tags_of(tag)}
    with open_management(ctx, data_dir_) as management:
        show_entry(management.create("projects", body=body)["data"], as_json=as_json)


@app.command()
def show(
    ctx: typer.Context,
    project: ProjectName,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Show one project."""
    with open_management(ctx, data_dir_) as management:
        show_entry(management.entry("projects", project), as_json=as_json)


@app.command()
def update(
    ctx: typer.Context,
    project: ProjectName,
    name: NewNameOption = None,
    disabled: DisableOption = None,
    tag: NewTagOption = None,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Rename, disable or enable a project, or tag it anew."""
    body = {"name": name, "disabled": disabled, "tags": tags_of(tag)}
    with open_management(ctx, data_dir_) as management:
        show_entry(management.change("projects", project, body=body), as_json=as_json)
