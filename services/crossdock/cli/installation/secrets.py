"""crossdock secrets: rotate. It decrypts only data keys, in memory; BYOK keys stay encrypted."""

import sys
from pathlib import Path

import typer
from pydantic import SecretStr

from crossdock.cli.shared.doors import doors_of
from crossdock.cli.shared.installation import DataDirOption, address, data_dir, environment, reached
from crossdock.cli.shared.management_client import open_management
from crossdock.cli.shared.options import JsonOption
from crossdock.cli.shared.output import show_json
from crossdock.kernel.drivers.envelope_encryption import MasterKeys
from crossdock.kernel.drivers.master_keys import load_master_keys
from crossdock.kernel.process.errors import ProcessError
from crossdock.local.datadir import MASTER_KEY

app = typer.Typer(help="Rotate the master key that encrypts BYOK keys.", no_args_is_help=True)


@app.callback()
def secrets() -> None:
    """Make `rotate` a subcommand, although it is the only one."""


@app.command()
def rotate(
    ctx: typer.Context, as_json: JsonOption = False, data_dir_: DataDirOption = None
) -> None:
    """Encrypt the BYOK keys of all organizations with the first master key.

    Before: put the new master key in front of the old ones, and restart ingress and the provider workers. Afterwards:
    remove the old ones. It is safe to repeat. It needs an owner's key of the installation's first organization.
    """
    keys = _master_keys(data_dir_)
    found = reached(data_dir_)
    servers = address(found, "KAFKA_BOOTSTRAP_SERVERS", "encrypted BYOK keys are on a topic")
    sealed = doors_of(ctx).read_sealed(servers)
    old = {name: one for name, one in sealed.items() if one.master_key_id != keys.first_id}
    with open_management(ctx, data_dir_) as management:
        for name, one in old.items():
            body = keys.rewrap(one).model_dump(mode="json")
            management.create("byok", name, "rewrap", body=body)
    result = {"master_key_id": keys.first_id, "rewrapped": len(old), "secrets": len(sealed)}
    if as_json:
        show_json(result)
    else:
        sys.stderr.write(
            f"re-encrypted {len(old)} of {len(sealed)} BYOK keys with master key {keys.first_id}\n"
        )


def _master_keys(path: Path | None) -> MasterKeys:
    """Return the master keys of the environment, else of the installation's folder.

    Raises:
        ProcessError: if there are none.
    """
    environ = environment()
    named = environ.get("CROSSDOCK_MASTER_KEY_FILE")
    own = data_dir(path).path / MASTER_KEY
    file = Path(named) if named else own
    given = environ.get("CROSSDOCK_MASTER_KEY", "")
    if not given and not file.exists():
        raise ProcessError(
            f"no master key: set CROSSDOCK_MASTER_KEY or CROSSDOCK_MASTER_KEY_FILE; {own} does not exist"
        )
    keys = load_master_keys(SecretStr(given), file)
    if keys is None:
        raise ProcessError("no master key: set CROSSDOCK_MASTER_KEY")
    return keys
