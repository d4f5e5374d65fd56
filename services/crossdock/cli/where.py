"""Where the installation is that a command shall talk to: the environment first, then the data dir."""

import os
from pathlib import Path
from typing import Annotated

import typer

from crossdock.kernel.errors import ProcessError
from crossdock.local.datadir import DataDir, default_data_dir

DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="The installation's folder.  [default: $CROSSDOCK_DATA_DIR or ~/.local/share/crossdock]",
    ),
]


def environment() -> dict[str, str]:
    return dict(os.environ)  # noqa: TID251  # the CLI is a composition root


def data_dir(path: Path | None) -> DataDir:
    return DataDir(path or default_data_dir(environment()))


def addresses(data: DataDir) -> dict[str, str]:
    """Return the addresses that clients need; the environment's win.

    Raises:
        ProcessError: if there is no installation to talk to.
    """
    state = data.read_state()
    found = dict(state.get("addresses", {}))
    key_file = data.path / "api-key"
    if key_file.exists():
        found["OPENAI_API_KEY"] = key_file.read_text().strip()
    found |= {
        name: value
        for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "CLICKHOUSE_URL")
        if (value := environment().get(name))
    }
    if "OPENAI_BASE_URL" not in found:
        raise ProcessError(
            f"no installation in {data.path}: start one with `crossdock up`, or set OPENAI_BASE_URL and OPENAI_API_KEY"
        )
    return found
