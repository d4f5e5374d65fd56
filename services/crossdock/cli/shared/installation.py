"""The addresses and keys of the installation: from the environment, else from the data folder.

The functions raise ProcessError if an address or a key is unknown.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from crossdock.kernel.process.errors import ProcessError
from crossdock.kernel.process.kafka_settings import ACCESS, KafkaSettings
from crossdock.kernel.process.settings import read_kafka
from crossdock.local.datadir import DataDir, default_data_dir

DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="The folder of the installation.  \\[default: $CROSSDOCK_DATA_DIR or ~/.local/share/crossdock]",
    ),
]


OF_KAFKA = tuple(field.upper() for field in KafkaSettings.model_fields)
"""The variables that describe how to connect to Kafka."""
SHOWN = ("OPENAI_BASE_URL", "OPENAI_API_KEY", "CLICKHOUSE_URL", *OF_KAFKA)
"""The variables that clients need; `crossdock env` prints them."""
GIVEN = "CROSSDOCK_ENV"
"""The pairs NAME=VALUE that `crossdock env` has put into the environment, which are not the user's own."""
MANAGEMENT_KEY = "CROSSDOCK_MANAGEMENT_KEY"
"""The variable with a key that manages accounts. It calls no models, so SHOWN does not have it."""
OWNER_KEY = "owner-key"
"""The file in the data folder with the installation's own management key."""


def environment() -> dict[str, str]:
    return dict(os.environ)  # noqa: TID251  # the CLI is a composition root


def without_given(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what `crossdock env` added, so that `up` starts its own Kafka and ClickHouse."""
    given = dict(pair.split("=", 1) for pair in environ.get(GIVEN, "").split() if "=" in pair)
    own = {name: value for name, value in environ.items() if given.get(name) != value}
    if "OPENAI_BASE_URL" in environ and "OPENAI_BASE_URL" not in own:
        own.pop("OPENAI_API_KEY", None)  # GIVEN has no secrets
    own.pop(GIVEN, None)
    return own


def without_secret(url: str) -> str:
    """Return an address without user and secret."""
    scheme, mark, rest = url.partition("://")
    return scheme + mark + rest.rpartition("@")[2] if mark else url


def data_dir(path: Path | None) -> DataDir:
    return DataDir(path or default_data_dir(environment()))


def reached(path: Path | None) -> dict[str, str]:
    """Return the addresses of the installation. --data-dir takes precedence over the environment."""
    environ = environment()
    return addresses(data_dir(path), environ if path is None else without_given(environ))


def addresses(data: DataDir, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the addresses that clients need; `environ` takes precedence over the folder.

    From then on this process connects to that Kafka as the addresses describe.
    """
    state = data.read_state()
    found = dict(state.get("addresses", {}))
    key_file = data.path / "api-key"
    if key_file.exists():
        found["OPENAI_API_KEY"] = key_file.read_text().strip()
    if environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        found = {name: value for name, value in found.items() if name not in OF_KAFKA}
    found |= {name: value for name in SHOWN if (value := environ.get(name))}
    ACCESS.use(read_kafka(found))
    if "OPENAI_BASE_URL" not in found:
        raise ProcessError(
            f"no installation in {data.path}: start one with `crossdock up`, or set OPENAI_BASE_URL and OPENAI_API_KEY"
        )
    return found


def address(found: Mapping[str, str], name: str, why: str) -> str:
    """Return one of the addresses; `why` is the reason why it is needed."""
    if name not in found:
        raise ProcessError(f"set {name}: {why}")
    return found[name]


def managed(path: Path | None) -> dict[str, str]:
    """Return the addresses of the installation and its management key."""
    found = reached(path)
    found[MANAGEMENT_KEY] = management_key(data_dir(path), found["OPENAI_BASE_URL"], environment())
    return found


def management_key(data: DataDir, base_url: str, environ: Mapping[str, str]) -> str:
    """Return the management key for `base_url`: the environment's, else the data folder's.

    A key is sent only to its own installation: the environment's key to the environment's address, if one is set, and
    the folder's key to the address that the folder's installation serves.
    """
    key = environ.get(MANAGEMENT_KEY, "").strip()
    if key and (environ.get("OPENAI_BASE_URL") or base_url) == base_url:
        return key
    file = data.path / OWNER_KEY
    if data.read_state().get("addresses", {}).get("OPENAI_BASE_URL") == base_url and file.exists():
        return file.read_text().strip()
    raise ProcessError(
        f"no management key for {base_url}: set {MANAGEMENT_KEY}, or pass --data-dir with the folder of a running "
        f"installation"
    )
