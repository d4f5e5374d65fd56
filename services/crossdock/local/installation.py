"""The processes of an installation on this machine, and their addresses."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crossdock.kernel.process.errors import ProcessError
from crossdock.kernel.requests.api_keys import digest
from crossdock.kernel.requests.catalogue import load_catalogue
from crossdock.local.aot_training import trained_jars
from crossdock.local.catalogue import simulated_catalogue
from crossdock.local.clickhouse.access import GRANTS, READER, STAGE_USERS, digest_of
from crossdock.local.datadir import DataDir
from crossdock.local.files import missing_keys, read_catalogue
from crossdock.local.jars import java
from crossdock.local.kafka import KafkaNode
from crossdock.local.process import ProcessSpec
from crossdock_schemas.pricing.catalogue import Catalogue, merge_catalogues
from crossdock_schemas.stages import PROVISION, STAGES

# jemalloc inside chdb: return freed pages at once, in two arenas. Measured with 200,000 rows into two tables: a peak of
# 150 MiB beside the mapped library instead of 220, for 6 ms of CPU more per 1,000 rows.
ENGINE_ALLOCATOR = (
    "dirty_decay_ms:0,muzzy_decay_ms:0,narenas:2,percpu_arena:disabled,"
    "oversize_threshold:1048576,tcache_max:4096"
)
STOP_S = 25.0
PROVIDER_STOP_S = (
    130.0  # running calls are paid for: the drain limit of the stage, and a little more
)
MASTER_KEYS = ("CROSSDOCK_MASTER_KEY", "CROSSDOCK_MASTER_KEY_FILE")


@dataclass(frozen=True)
class UpOptions:
    """Options of `crossdock up`."""

    catalogues: Sequence[Path] = ()
    scale: Mapping[str, int] = field(default_factory=dict)
    latency_ms: float | None = None

    def count(self, stage: str) -> int:
        return self.scale.get(stage, 1)


@dataclass(frozen=True)
class Installation:
    """Engines, the job that provisions them, and stages, in the order of their start."""

    engines: tuple[ProcessSpec, ...]
    provision: ProcessSpec
    stages: tuple[ProcessSpec, ...]
    addresses: Mapping[str, str]


def plan(data: DataDir, options: UpOptions, environ: Mapping[str, str]) -> Installation:
    """Decide on ports, write the merged catalogue, prepare Kafka's storage.

    Raises:
        ProcessError: if a requirement is missing.
        SettingsError: if a catalogue file is invalid.
    """
    names = [f"{stage.name}.{n}" for stage in STAGES for n in range(options.count(stage.name))]
    ports = data.ports(
        ["ingress", "clickhouse", "kafka", "kafka_controller", "simulator"]
        + [f"ops.{name}" for name in (*names, "simulator.0", "clickhouse.0")]
        + [f"ingress.{number}" for number in range(1, options.count("ingress"))]
    )
    addresses = {
        "OPENAI_BASE_URL": f"http://127.0.0.1:{ports['ingress']}/v1",
        "CLICKHOUSE_URL": environ.get("CLICKHOUSE_URL")
        or data.clickhouse_url(READER, ports["clickhouse"]),
        "KAFKA_BOOTSTRAP_SERVERS": environ.get("KAFKA_BOOTSTRAP_SERVERS")
        or f"127.0.0.1:{ports['kafka']}",
        "CROSSDOCK_SIMULATOR_URL": f"http://127.0.0.1:{ports['simulator']}",
    }
    env = _environment(data, options, environ, ports, addresses)
    engines = [
        *([] if environ.get("KAFKA_BOOTSTRAP_SERVERS") else [_kafka(data, ports, environ)]),
        *([] if environ.get("CLICKHOUSE_URL") else [_clickhouse(data, ports, env)]),
        _python("simulator", 0, env, ports),
    ]
    own_tables = {} if environ.get("CLICKHOUSE_URL") else _own_tables(data, ports["clickhouse"])
    provision = ProcessSpec(
        PROVISION.name,
        [sys.executable, "-m", PROVISION.module],
        env | own_tables.get(PROVISION.name, {}),
    )
    master = _master_keys(data, environ)
    stages = tuple(
        _python(
            stage.name,
            number,
            {**env, **own_tables.get(stage.name, {}), **(master if stage.has_master_keys else {})},
            ports,
        )
        for stage in reversed(STAGES)  # readers of a topic start before its writers
        for number in range(options.count(stage.name))
    )
    return Installation(tuple(engines), provision, stages, addresses)


def _environment(
    data: DataDir,
    options: UpOptions,
    environ: Mapping[str, str],
    ports: Mapping[str, int],
    addresses: Mapping[str, str],
) -> dict[str, str]:
    key, _ = data.api_key()
    env = _without_master_keys(environ) | dict(addresses)
    for name in ("OPENAI_BASE_URL", "CROSSDOCK_SIMULATOR_URL", "CROSSDOCK_DATA_DIR"):
        env.pop(name, None)
    env |= {
        "CROSSDOCK_OBJECTS_URL": (data.path / "objects").as_uri(),
        "CROSSDOCK_CATALOGUE": str(_write_catalogue(data, options, environ, ports["simulator"])),
        "CROSSDOCK_INGRESS_HOST": "127.0.0.1",
        "CROSSDOCK_INGRESS_PORT": str(ports["ingress"]),
        "CROSSDOCK_INGRESS_KEY_SECRET": data.key_secret(),
        "CROSSDOCK_OWNER_KEY_SHA256": digest(data.owner_key()),
        "CROSSDOCK_API_KEY_SHA256": digest(key),
        "CROSSDOCK_SIMULATOR_PORT": str(ports["simulator"]),
        "CROSSDOCK_SIMULATOR_LEDGER": str(data.path / "simulator-ledger.jsonl"),
        "PYTHONUNBUFFERED": "1",
    }
    if options.latency_ms is not None:
        env["CROSSDOCK_SIMULATOR_LATENCY_MS"] = str(options.latency_ms)
    return env


def _without_master_keys(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of every process: only stages that encrypt or decrypt BYOK keys get the master keys."""
    return {name: value for name, value in environ.items() if name not in MASTER_KEYS}


def _master_keys(data: DataDir, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the master keys: the user's, else the installation's file."""
    given = {name: environ[name] for name in MASTER_KEYS if environ.get(name)}
    return given or {MASTER_KEYS[1]: str(data.master_key())}


def _write_catalogue(
    data: DataDir, options: UpOptions, environ: Mapping[str, str], simulator_port: int
) -> Path:
    catalogues = [simulated_catalogue(simulator_port), *map(read_catalogue, options.catalogues)]
    merged: Catalogue = merge_catalogues(catalogues)
    missing = missing_keys(merged, environ)
    if missing:
        raise ProcessError(f"--catalogue: keys of providers are missing: set {', '.join(missing)}")
    file = data.path / "catalogue.json"
    file.write_text(json.dumps(json.loads(merged.model_dump_json()), indent=1))
    load_catalogue(file)
    return file


def _python(
    stage: str, number: int, env: Mapping[str, str], ports: Mapping[str, int]
) -> ProcessSpec:
    ops = ports[f"ops.{stage}.{number}"]
    own = {"CROSSDOCK_ORDINAL": str(number), "CROSSDOCK_OPS_PORT": str(ops)}
    if stage == "ingress" and number > 0:
        own["CROSSDOCK_INGRESS_PORT"] = str(ports[f"ingress.{number}"])
    argv = [sys.executable, "-m", f"crossdock.{stage}.main"]
    stop_s = PROVIDER_STOP_S if stage == "provider" else STOP_S
    return ProcessSpec(f"{stage}.{number}", argv, {**env, **own}, ops_port=ops, stop_s=stop_s)


def _own_tables(data: DataDir, port: int) -> dict[str, dict[str, str]]:
    """Return the address of the embedded ClickHouse for each stage that uses it, with its own secret."""
    return {name: {"CLICKHOUSE_URL": data.clickhouse_url(name, port)} for name in STAGE_USERS}


def _clickhouse(data: DataDir, ports: Mapping[str, int], env: Mapping[str, str]) -> ProcessSpec:
    ops = ports["ops.clickhouse.0"]
    own = {
        "CROSSDOCK_ENGINE_FOLDER": str(data.path / "clickhouse"),
        "CROSSDOCK_ENGINE_PORT": str(ports["clickhouse"]),
        "CROSSDOCK_ENGINE_USERS": ",".join(
            f"{user}={digest_of(data.clickhouse_secret(user))}" for user in GRANTS
        ),
        "CROSSDOCK_OPS_PORT": str(ops),
        "JE_MALLOC_CONF": env.get("JE_MALLOC_CONF", ENGINE_ALLOCATOR),
    }
    argv = [sys.executable, "-m", "crossdock.local.clickhouse.main"]
    return ProcessSpec("clickhouse.0", argv, {**env, **own}, ops_port=ops)


def _kafka(data: DataDir, ports: Mapping[str, int], environ: Mapping[str, str]) -> ProcessSpec:
    jre = java()
    jars = trained_jars(jre, environ)
    node = KafkaNode(data.path / "kafka", ports["kafka"], ports["kafka_controller"], jre, jars)
    node.prepare()
    return ProcessSpec(
        "kafka", node.argv(), _without_master_keys(environ), open_port=ports["kafka"]
    )
