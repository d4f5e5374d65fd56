"""Reads the operator's catalogue: TOML or JSON."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from crossdock.kernel.process.errors import SettingsError
from crossdock_schemas.pricing.catalogue import Catalogue


def read_catalogue(path: Path) -> Catalogue:
    """Return the providers in `path`.

    Raises:
        SettingsError: if the file cannot be read or is not a catalogue, with every fault.
    """
    try:
        value: Any = _parse(path)
        return Catalogue.model_validate(value)
    except OSError as error:
        raise SettingsError(f"--catalogue {path}: {error.strerror}") from None
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"--catalogue {path}: {faults}") from None
    except ValueError as error:
        raise SettingsError(f"--catalogue {path}: {error}") from None


def _parse(path: Path) -> Any:  # any value; the model checks it
    text = path.read_text()
    return json.loads(text) if path.suffix == ".json" else tomllib.loads(text)


def missing_keys(catalogue: Catalogue, environ: Mapping[str, str]) -> list[str]:
    """Return the variables of providers' keys that are not set."""
    wanted = {provider.api_key_env for provider in catalogue.providers if provider.api_key_env}
    return sorted(name for name in wanted if not environ.get(name))
