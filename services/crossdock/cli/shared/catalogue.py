"""The catalogue of an installation, for commands that need prices."""

from pathlib import Path
from typing import Annotated

import typer

from crossdock.cli.shared.installation import data_dir
from crossdock.kernel.process.errors import ProcessError, SettingsError
from crossdock.kernel.requests.catalogue import load_catalogue
from crossdock_schemas.pricing.catalogue import Catalogue

CatalogueOption = Annotated[
    Path | None,
    typer.Option(
        "--catalogue", help="The merged catalogue.  \\[default: the installation's]", metavar="FILE"
    ),
]


def catalogue_of(file: Path | None, path: Path | None, base_url: str) -> Catalogue:
    """Return the catalogue in `file`, else that of the data folder if its installation serves `base_url`.

    Raises:
        ProcessError: if there is none, or it is invalid.
    """
    data = data_dir(path)
    is_own = data.read_state().get("addresses", {}).get("OPENAI_BASE_URL") == base_url
    if file is None and not is_own:
        raise ProcessError(
            f"no catalogue for {base_url}: pass --catalogue with the file that its stages read, or --data-dir"
        )
    try:
        return load_catalogue(file or data.path / "catalogue.json")
    except SettingsError as error:
        raise ProcessError(
            f"--catalogue: {str(error).removeprefix('CROSSDOCK_CATALOGUE: ')}"
        ) from None
