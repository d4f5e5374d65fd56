"""crossdock secrets: rotate. Nothing is decrypted but data keys, in this process, and written nowhere."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import typer
from pydantic import SecretStr

from crossdock.cli.shared.installation import DataDirOption, address, data_dir, environment, reached
from crossdock.cli.shared.management_client import open_management
from crossdock.cli.shared.options import JsonOption
from crossdock.cli.shared.output import show_json
from crossdock.kernel.drivers.envelope_encryption import MasterKeys
from crossdock.kernel.drivers.master_keys import load_master_keys
from crossdock.kernel.process.errors import ProcessError
from crossdock.local.datadir import MASTER_KEY
from crossdock_schemas.accounts.secret import SealedSecret
from crossdock_schemas.topics import ACCOUNT_SECRETS

app = typer.Typer(
    help="The master keys that own provider keys are sealed with.", no_args_is_help=True
)
CLIENT = "crossdock.cli"
ReadSealed = Callable[[str], Coroutine[Any, Any, Mapping[str, SealedSecret]]]
"""From Kafka's address: what is sealed, by the id of the own provider key."""


@app.callback()
def secrets() -> None:
    """Keep `rotate` a command of its own."""


@app.command()
def rotate(
    ctx: typer.Context, as_json: JsonOption = False, data_dir_: DataDirOption = None
) -> None:
    """Put every own provider key, of all organizations, under the first master key.

    Before: put the new master key in front of the old ones, and restart ingress and provider workers. Afterwards the
    old ones may go. It may be run again. Needs a key of an owner of the installation's first organization.
    """
    keys = _master_keys(data_dir_)
    found = reached(data_dir_)
    servers = address(found, "KAFKA_BOOTSTRAP_SERVERS", "sealed secrets lie on a topic")
    read: ReadSealed = ctx.obj.read_sealed or read_sealed
    sealed = asyncio.run(read(servers))
    old = {name: one for name, one in sealed.items() if one.master_key_id != keys.first_id}
    with open_management(ctx, data_dir_) as management:
        for name, one in old.items():
            body = keys.rewrap(one).model_dump(mode="json")
            management.create("byok", name, "rewrap", body=body)
    told = {"master_key_id": keys.first_id, "rewrapped": len(old), "secrets": len(sealed)}
    if as_json:
        show_json(told)
    else:
        sys.stderr.write(
            f"{len(old)} of {len(sealed)} secrets put under the master key {keys.first_id}\n"
        )


def _master_keys(path: Path | None) -> MasterKeys:
    """Return the master keys of the environment, else those of the installation's folder.

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
            f"no master key: set CROSSDOCK_MASTER_KEY or CROSSDOCK_MASTER_KEY_FILE; there is no {own}"
        )
    keys = load_master_keys(SecretStr(given), file)
    if keys is None:
        raise ProcessError("no master key: set CROSSDOCK_MASTER_KEY")
    return keys


async def read_sealed(servers: str) -> Mapping[str, SealedSecret]:
    """Return what is on the topic of secrets now.

    Raises:
        LogError: if Kafka does not answer, or has no such topic.
    """
    from crossdock.kernel.drivers.kafka import open_reader, places_of
    from crossdock.kernel.drivers.kafka.tail import MAX_RECORDS
    from crossdock.kernel.drivers.kafka.tail import reached as is_at

    found: dict[str, SealedSecret] = {}
    places = await places_of(servers, ACCOUNT_SECRETS.name)
    async with open_reader(servers, places, client=CLIENT) as reader:
        ends = await reader.end_offsets(places)
        while not await is_at(reader, ends):
            for record in await reader.poll(max_records=MAX_RECORDS, timeout_ms=200):
                name = (record.key or b"").decode(errors="replace")
                found.pop(name, None)
                if record.value is not None:
                    found[name] = SealedSecret.from_json(record.value)
    return found
