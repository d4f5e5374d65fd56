"""crossdock orgs: show, update, create."""

from typing import Annotated, Any

import typer

from crossdock.cli.management.resource import Resource
from crossdock.cli.shared.management_client import OWN, Management
from crossdock.cli.shared.options import (
    ForceOption,
    NewAllowIpOption,
    NewNameOption,
    duration_s,
    values_of,
)
from crossdock.cli.shared.output import hand_over

orgs = Resource(OWN, help="Organizations: the accounts that pay.")
app = orgs.app
orgs.add_show("Show the organization that the management key belongs to.")


@orgs.command("update")
def update(
    management: Management,
    name: NewNameOption = None,
    max_key_life: Annotated[
        str | None, typer.Option(help="The longest life of new keys, such as 90d; 0: no limit.")
    ] = None,
    allow_ip: NewAllowIpOption = None,
    force: ForceOption = False,
) -> Any:
    """Rename the organization, limit the life of its keys, or restrict them to networks."""
    body = {
        "name": name,
        "max_key_life_s": None if max_key_life is None else duration_s(max_key_life),
        "allowed_ips": values_of(allow_ip),
    }
    return management.change(OWN, body=body, force=force)


@orgs.command("create", show=hand_over)
def create(
    management: Management,
    name: Annotated[str, typer.Argument(help="The organization's name.")],
    project: Annotated[
        str | None, typer.Option(help="Its first project's name.", metavar="PROJECT_NAME")
    ] = None,
) -> Any:
    """Create another organization and print its owner's key, once, alone on stdout."""
    return management.create("organizations", body={"name": name, "project_name": project})
