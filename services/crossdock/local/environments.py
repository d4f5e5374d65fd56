"""The part of the user's environment that each process of an installation gets: only what it needs. Pure."""

from collections.abc import Collection, Mapping

from crossdock.kernel.process.settings import SHARED, Settings, name_of
from crossdock_schemas.stages import Shape, Stage

_PLAIN = frozenset(
    {
        *("HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "PATH", "SSL_CERT_DIR", "SSL_CERT_FILE", "TMPDIR", "TZ"),
        *("VIRTUAL_ENV", "JE_MALLOC_CONF"),
    }
)  # fmt: skip
_PLAIN_PREFIXES = ("LC_", "PYTHON", "MALLOC_")
_SHARED = frozenset(
    name for field in Settings.model_fields if (name := name_of(field, SHARED)).startswith(SHARED)
) - {f"{SHARED}OBJECTS_URL"}
_OBJECT_STORES = ("AWS_", "AZURE_", "GOOGLE_", "GCS_")
_PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"})
_REPLICATION = f"{SHARED}REPLICATION"


def plain(environ: Mapping[str, str], name: str) -> dict[str, str]:
    """Return what every process may know: paths, language, limits, and the settings of `name`."""
    own = f"{SHARED}{name.upper()}_"
    return {
        key: value
        for key, value in environ.items()
        if key in _PLAIN | _SHARED or key.startswith((*_PLAIN_PREFIXES, own))
    }


def of_stage(
    stage: Stage, environ: Mapping[str, str], provider_keys: Collection[str]
) -> dict[str, str]:
    """Return the part of the environment for `stage`; `provider_keys` are the variables that a catalogue names."""
    found = plain(environ, stage.name)
    for key, value in environ.items():
        is_store = stage.has_objects and key.startswith(_OBJECT_STORES)
        is_proxy = stage.has_objects and key.upper() in _PROXIES
        is_key = stage.has_provider_keys and key in provider_keys
        is_job = stage.shape is Shape.JOB and key == _REPLICATION
        if is_store or is_proxy or is_key or is_job:
            found[key] = value
    return found
