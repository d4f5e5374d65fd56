"""crossdock orgs: show, update, create."""

from typing import Annotated

import typer

from crossdock.cli.shared.installation import DataDirOption
from crossdock.cli.shared.management_client import open_management
from crossdock.cli.shared.options import (
    JsonOption,
    NewAllowIpOption,
    NewNameOption,
    duration_s,
    values_of,
)
from crossdock.cli.shared.output import hand_over, show_entry

app = typer.Typer(help="Organizations: the accounts that pay.", no_args_is_help=True)
OWN = "organization"


@app.command()
def show(ctx: typer.Context, as_json: JsonOption = False, data_dir_: DataDirOption = None) -> None:
    """Show the organization that the management key belongs to."""
    with open_management(ctx, data_dir_) as management:
        show_entry(management.entry(OWN), as_json=as_json)


@app.command()
def update(
    ctx: typer.Context,
    name: NewNameOption = None,
    max_key_life: Annotated[
        str | None,
        typer.Option(help="New keys expire within it, such as 90d; 0: they need not expire."),
    ] = None,
    allow_ip: NewAllowIpOption = None,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Rename the organization, limit its keys' life, or bind them to networks."""
    body = {
        "name": name,
        "max_key_life_s": None if max_key_life is None else duration_s(max_key_life),
        "allowed_ips": values_of(allow_ip),
    }
    with open_management(ctx, data_dir_) as management:
        show_entry(management.change(OWN, body=body), as_json=as_json)


@app.command()
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The organization's name.")],
    project: Annotated[
        str | None, typer.Option(help="Its first project's name.", metavar="PROJECT_NAME")
    ] = None,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Create another organization, and print its owner's key: this once, alone on stdout."""
    body = {"name": name, "project_name": project}
    with open_management(ctx, data_dir_) as management:
        hand_over(management.create("organizations", body=body), as_json=as_json)
