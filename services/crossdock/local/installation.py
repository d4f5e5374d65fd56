"""The processes of an installation on this machine, and their addresses."""

import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from crossdock.kernel.process.errors import ProcessError
from crossdock.kernel.process.settings import read_kafka
from crossdock.kernel.requests.api_keys import digest
from crossdock.kernel.requests.catalogue import load_catalogue
from crossdock.local.aot_training import trained_jars
from crossdock.local.catalogue import simulated_catalogue
from crossdock.local.clickhouse.access import GRANTS, READER, digest_of
from crossdock.local.datadir import DataDir
from crossdock.local.environments import of_stage, plain
from crossdock.local.files import missing_keys, read_catalogue
from crossdock.local.jars import java
from crossdock.local.kafka import ENVIRONMENT, KafkaNode
from crossdock.local.kafka_user import let_in
from crossdock.local.process import ProcessSpec
from crossdock_schemas.pricing.catalogue import Catalogue, merge_catalogues
from crossdock_schemas.stages import PROVISION, STAGES, Stage

# jemalloc inside chdb: return freed pages at once, in two arenas. Measured with 200,000 rows into two tables: a peak of
# 150 MiB beside the mapped library instead of 220, for 6 ms of CPU more per 1,000 rows.
ENGINE_ALLOCATOR = (
    "dirty_decay_ms:0,muzzy_decay_ms:0,narenas:2,percpu_arena:disabled,"
    "oversize_threshold:1048576,tcache_max:4096"
)
STOP_S = 25.0
KAFKA_S = 60.0  # limit until a node that listens answers
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


async def _nothing() -> None:
    """Do nothing: the engines are the user's own."""


@dataclass(frozen=True)
class Installation:
    """Engines, the job that provisions them, and stages, in the order of their start."""

    engines: tuple[ProcessSpec, ...]
    provision: ProcessSpec
    stages: tuple[ProcessSpec, ...]
    addresses: Mapping[str, str]
    admit: Callable[[], Awaitable[None]] = _nothing
    """Makes the stages' user on the engines, before the first stage starts."""


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
        "CROSSDOCK_SIMULATOR_URL": f"http://127.0.0.1:{ports['simulator']}",
    }
    catalogue = _write_catalogue(data, options, environ, ports["simulator"])
    kafka = _kafka(data, ports, environ)
    engines = [
        *kafka.engines,
        *([] if environ.get("CLICKHOUSE_URL") else [_clickhouse(data, ports, environ)]),
        _simulator(data, options, ports, environ),
    ]
    own = {
        stage: _own(stage, data, environ, addresses, catalogue) | dict(kafka.variables)
        for stage in (PROVISION, *STAGES)
    }
    provision = ProcessSpec(
        PROVISION.name, [sys.executable, "-m", PROVISION.module], own[PROVISION] | _founding(data)
    )
    stages = tuple(
        _python(stage.name, number, own[stage], ports)
        for stage in reversed(STAGES)  # readers of a topic start before its writers
        for number in range(options.count(stage.name))
    )
    return Installation(
        tuple(engines), provision, stages, addresses | dict(kafka.addresses), kafka.admit
    )


def _own(
    stage: Stage,
    data: DataDir,
    environ: Mapping[str, str],
    addresses: Mapping[str, str],
    catalogue: Path,
) -> dict[str, str]:
    """Return the environment of a stage's processes: each secret goes only to the stages that need it."""
    keys = [p.api_key_env for p in load_catalogue(catalogue).providers if p.api_key_env]
    env = of_stage(stage, environ, keys) | {
        "CROSSDOCK_CATALOGUE": str(catalogue),
        "PYTHONUNBUFFERED": "1",
    }
    if stage.has_objects:
        env["CROSSDOCK_OBJECTS_URL"] = (data.path / "objects").as_uri()
    if stage.has_tables:
        port = urlsplit(addresses["CLICKHOUSE_URL"]).port or 0
        env["CLICKHOUSE_URL"] = environ.get("CLICKHOUSE_URL") or data.clickhouse_url(
            stage.name, port
        )
    if stage.has_master_keys:
        env |= _master_keys(data, environ)
    if stage.has_key_secret:
        env["CROSSDOCK_INGRESS_HOST"] = "127.0.0.1"
        env["CROSSDOCK_INGRESS_KEY_SECRET"] = data.key_secret()
    return env


def _founding(data: DataDir) -> dict[str, str]:
    return {
        "CROSSDOCK_OWNER_KEY_SHA256": digest(data.owner_key()),
        "CROSSDOCK_API_KEY_SHA256": digest(data.api_key()[0]),
    }


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
    if stage == "ingress":
        own["CROSSDOCK_INGRESS_PORT"] = str(ports[f"ingress.{number}" if number else "ingress"])
    argv = [sys.executable, "-m", f"crossdock.{stage}.main"]
    stop_s = PROVIDER_STOP_S if stage == "provider" else STOP_S
    return ProcessSpec(f"{stage}.{number}", argv, {**env, **own}, ops_port=ops, stop_s=stop_s)


def _simulator(
    data: DataDir, options: UpOptions, ports: Mapping[str, int], environ: Mapping[str, str]
) -> ProcessSpec:
    env = plain(environ, "simulator") | {
        "CROSSDOCK_SIMULATOR_PORT": str(ports["simulator"]),
        "CROSSDOCK_SIMULATOR_LEDGER": str(data.path / "simulator-ledger.jsonl"),
        "PYTHONUNBUFFERED": "1",
    }
    if options.latency_ms is not None:
        env["CROSSDOCK_SIMULATOR_LATENCY_MS"] = str(options.latency_ms)
    return _python("simulator", 0, env, ports)


def _clickhouse(data: DataDir, ports: Mapping[str, int], environ: Mapping[str, str]) -> ProcessSpec:
    ops = ports["ops.clickhouse.0"]
    env = {"JE_MALLOC_CONF": ENGINE_ALLOCATOR} | plain(environ, "engine")
    env |= {
        "CROSSDOCK_ENGINE_FOLDER": str(data.path / "clickhouse"),
        "CROSSDOCK_ENGINE_PORT": str(ports["clickhouse"]),
        "CROSSDOCK_ENGINE_USERS": ",".join(
            f"{user}={digest_of(data.clickhouse_secret(user))}" for user in GRANTS
        ),
        "CROSSDOCK_OPS_PORT": str(ops),
        "PYTHONUNBUFFERED": "1",
    }
    argv = [sys.executable, "-m", "crossdock.local.clickhouse.main"]
    return ProcessSpec("clickhouse.0", argv, env, ops_port=ops)


@dataclass(frozen=True)
class _Kafka:
    """Kafka, as the stages and other clients reach it; `engines` is empty if it is the user's own."""

    engines: tuple[ProcessSpec, ...]
    variables: Mapping[str, str]
    addresses: Mapping[str, str]
    admit: Callable[[], Awaitable[None]] = _nothing


def _kafka(data: DataDir, ports: Mapping[str, int], environ: Mapping[str, str]) -> _Kafka:
    if servers := environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        given = read_kafka(environ).variables()
        return _Kafka((), given, {"KAFKA_BOOTSTRAP_SERVERS": servers})
    jre = java()
    jars = trained_jars(jre, environ)
    node = KafkaNode(data.path / "kafka", ports["kafka"], ports["kafka_controller"], jre, jars)
    node.prepare()
    spec = ProcessSpec("kafka", node.argv(), ENVIRONMENT, open_port=node.port, folder=node.folder)
    password = data.kafka_secret()
    given = node.access(password).variables()
    return _Kafka((spec,), given, given, partial(let_in, node, password, timeout_s=KAFKA_S))
