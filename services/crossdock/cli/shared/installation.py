"""Where the installation is that a command shall talk to: the environment first, then the data dir."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from crossdock.kernel.process.errors import ProcessError
from crossdock.local.datadir import DataDir, default_data_dir

DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="The installation's folder.  [default: $CROSSDOCK_DATA_DIR or ~/.local/share/crossdock]",
    ),
]


SHOWN = ("OPENAI_BASE_URL", "OPENAI_API_KEY", "CLICKHOUSE_URL", "KAFKA_BOOTSTRAP_SERVERS")
"""What clients need, as `crossdock env` prints it."""
GIVEN = "CROSSDOCK_ENV"
"""What `crossdock env` put into the environment, as NAME=VALUE NAME=VALUE: an installation's, not the user's own."""
MANAGEMENT_KEY = "CROSSDOCK_MANAGEMENT_KEY"
"""A key that manages accounts; it calls no models, so it is none of SHOWN."""
OWNER_KEY = "owner-key"
"""The file in the data dir with the installation's own management key."""


def environment() -> dict[str, str]:
    return dict(os.environ)  # noqa: TID251  # the CLI is a composition root


def without_given(environ: Mapping[str, str]) -> dict[str, str]:
    """Leave out what `crossdock env` put there, so that it does not count as the user's own Kafka or ClickHouse."""
    given = dict(pair.split("=", 1) for pair in environ.get(GIVEN, "").split() if "=" in pair)
    own = {name: value for name, value in environ.items() if given.get(name) != value}
    if "OPENAI_BASE_URL" in environ and "OPENAI_BASE_URL" not in own:
        own.pop("OPENAI_API_KEY", None)  # not in GIVEN, which is no place for secrets
    own.pop(GIVEN, None)
    return own


def data_dir(path: Path | None) -> DataDir:
    return DataDir(path or default_data_dir(environment()))


def reached(path: Path | None) -> dict[str, str]:
    """Return the addresses that a client's command shall use: --data-dir names the installation, else the shell does.

    Raises:
        ProcessError: if there is no installation to talk to.
    """
    environ = environment()
    return addresses(data_dir(path), environ if path is None else without_given(environ))


def addresses(data: DataDir, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the addresses that clients need; those in `environ` win.

    Raises:
        ProcessError: if there is no installation to talk to.
    """
    state = data.read_state()
    found = dict(state.get("addresses", {}))
    key_file = data.path / "api-key"
    if key_file.exists():
        found["OPENAI_API_KEY"] = key_file.read_text().strip()
    found |= {name: value for name in SHOWN if (value := environ.get(name))}
    if "OPENAI_BASE_URL" not in found:
        raise ProcessError(
            f"no installation in {data.path}: start one with `crossdock up`, or set OPENAI_BASE_URL and OPENAI_API_KEY"
        )
    return found


def address(found: Mapping[str, str], name: str, why: str) -> str:
    """Return one of the addresses.

    Raises:
        ProcessError: if it is not known.
    """
    if name not in found:
        raise ProcessError(f"set {name}: {why}")
    return found[name]


def managed(path: Path | None) -> dict[str, str]:
    """Return what `reached` does, and the key for the management of accounts.

    Raises:
        ProcessError: if there is no installation to talk to, or no such key.
    """
    found = reached(path)
    found[MANAGEMENT_KEY] = management_key(data_dir(path), found["OPENAI_BASE_URL"], environment())
    return found


def management_key(data: DataDir, base_url: str, environ: Mapping[str, str]) -> str:
    """Return the key that manages the accounts at `base_url`: the environment's, else the data dir's.

    A key goes to its own installation only: the environment's to the environment's address, if that names one, and
    the data dir's to the address that its own installation serves.

    Raises:
        ProcessError: if there is none.
    """
    key = environ.get(MANAGEMENT_KEY, "").strip()
    if key and (environ.get("OPENAI_BASE_URL") or base_url) == base_url:
        return key
    file = data.path / OWNER_KEY
    if data.read_state().get("addresses", {}).get("OPENAI_BASE_URL") == base_url and file.exists():
        return file.read_text().strip()
    raise ProcessError(
        f"no management key for {base_url}: set {MANAGEMENT_KEY}, or give --data-dir, "
        f"a running installation's folder with its {OWNER_KEY}"
    )
