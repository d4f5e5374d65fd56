"""Reads the merged catalogue that every stage of an installation shares."""

from pathlib import Path

from pydantic import ValidationError

from crossdock.kernel.process.errors import SettingsError
from crossdock_schemas.pricing.catalogue import Catalogue


def load_catalogue(path: Path | None) -> Catalogue:
    """Return the catalogue in `path` (JSON).

    Raises:
        SettingsError: if it is missing or invalid.
    """
    if path is None:
        raise SettingsError("CROSSDOCK_CATALOGUE: not set: name the file of the merged catalogue")
    try:
        return Catalogue.model_validate_json(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"CROSSDOCK_CATALOGUE: cannot read {path}: {error.strerror}") from None
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"CROSSDOCK_CATALOGUE: {path}: {faults}") from None
