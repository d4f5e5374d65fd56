"""compose.yaml is a valid Compose file, runs every stage, and sets only what the stages know. No engine is needed."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml
from jsonschema import Draft202012Validator
from typing_extensions import override

from crossdock.cli.reference import SETTINGS
from crossdock.kernel.process.kafka_settings import KafkaSettings
from crossdock.kernel.process.settings import SHARED, Settings, name_of
from crossdock.kernel.provisioning.main import ProvisionSettings
from crossdock.kernel.requests.catalogue import load_catalogue
from crossdock.local.catalogue import simulated_catalogue
from crossdock_schemas.stages import PROVISION, STAGES

ROOT = Path(__file__).parents[2]
SCHEMA = Path(__file__).with_name("compose-spec.json")
MODULES = {stage.name: stage.module for stage in (PROVISION, *STAGES)} | {
    "simulator": "crossdock.simulator.main"
}
FOREIGN = {"CLICKHOUSE_URL", *(field.upper() for field in KafkaSettings.model_fields)}
GIVEN = {
    "KAFKA_PASSWORD": "secret-kafka",
    "CLICKHOUSE_PASSWORD": "secret-clickhouse",
    "AWS_ACCESS_KEY_ID": "crossdock",
    "AWS_SECRET_ACCESS_KEY": "secret-objects",
    "CROSSDOCK_OWNER_KEY_SHA256": "0" * 64,
    "CROSSDOCK_API_KEY_SHA256": "0" * 64,
    "CROSSDOCK_INGRESS_KEY_SECRET": "0" * 64,
    "CROSSDOCK_MASTER_KEY": "0" * 64,
}
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
every_stage = pytest.mark.parametrize("stage", MODULES)


def interpolate(node: object, given: Mapping[str, str]) -> object:
    """As Compose does, in every string: ${NAME}, ${NAME:-default}, ${NAME:?message}."""
    if isinstance(node, dict):
        return {key: interpolate(value, given) for key, value in node.items()}
    if isinstance(node, list):
        return [interpolate(value, given) for value in node]
    return _VARIABLE.sub(partial(value_of, given), node) if isinstance(node, str) else node


def value_of(given: Mapping[str, str], found: re.Match[str]) -> str:
    name, kind, rest = found.groups()
    if given.get(name):
        return given[name]
    if kind == "-":
        return str(rest)
    raise LookupError(f"{name}: {rest}")


def read_compose(given: Mapping[str, str] = GIVEN) -> dict[str, dict[str, dict[str, object]]]:
    document = interpolate(yaml.safe_load((ROOT / "compose.yaml").read_text()), given)
    assert isinstance(document, dict)
    return document


def settings_of(stage: str) -> tuple[type[Settings], str]:
    """Return the settings of a stage, and the prefix of their names."""
    if stage == PROVISION.name:
        return ProvisionSettings, SHARED
    return SETTINGS[stage], f"{SHARED}{stage.upper()}_"


def environment_of(stage: str) -> dict[str, str]:
    environment = read_compose()["services"][stage]["environment"]
    assert isinstance(environment, dict)
    return environment


def test_the_file_is_valid_by_the_compose_specification() -> None:
    document = read_compose()

    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(document)


def test_the_specification_would_refuse_a_misspelt_key() -> None:
    document = read_compose()
    document["services"]["router"]["enviroment"] = {}

    validator = Draft202012Validator(json.loads(SCHEMA.read_text()))

    assert not validator.is_valid(document)


def test_every_stage_of_the_tree_has_a_service() -> None:
    mains = {
        f"crossdock.{file.parent.name}.main"
        for file in (ROOT / "services/crossdock").glob("*/main.py")
    }

    assert mains == {*MODULES.values()} - {PROVISION.module}
    assert read_compose()["services"].keys() == MODULES.keys() | {"kafka", "clickhouse", "objects"}


@every_stage
def test_a_service_starts_its_own_stage(stage: str) -> None:
    service = read_compose()["services"][stage]

    assert service["command"] == ["python", "-m", MODULES[stage]]


@every_stage
def test_a_service_is_given_settings_that_its_stage_accepts(stage: str) -> None:
    settings, prefix = settings_of(stage)

    read = settings.from_env(environment_of(stage), prefix=prefix)

    if stage != "simulator":
        assert read.kafka_bootstrap_servers == "kafka:9092"
        assert read.kafka_security_protocol == "SASL_PLAINTEXT"
    assert read.catalogue == Path("/etc/crossdock/catalogue.json")


@every_stage
def test_a_service_is_given_no_name_that_nobody_reads(stage: str) -> None:
    settings, prefix = settings_of(stage)
    shared = {f"{SHARED}{field.upper()}" for field in Settings.model_fields}
    own = {f"{prefix}{field.upper()}" for field in settings.model_fields}
    own |= {name_of(field, prefix) for field in settings.model_fields}

    names = {name for name in environment_of(stage) if not name.startswith("AWS_")}

    assert names - shared - own - FOREIGN == set()
    assert all(isinstance(value, str) for value in environment_of(stage).values())


@every_stage
def test_a_service_is_given_the_secrets_of_its_own_stores_alone(stage: str) -> None:
    known = {found.name: found for found in (PROVISION, *STAGES)}
    told = " ".join(environment_of(stage).values())

    given = {secret for secret in ("kafka", "clickhouse", "objects") if f"secret-{secret}" in told}

    wanted = {"kafka"} if stage in known else set()
    if stage in known:
        wanted |= {"clickhouse"} if known[stage].has_tables else set()
        wanted |= {"objects"} if known[stage].has_objects else set()
    assert given == wanted


def test_kafka_asks_every_client_for_a_password() -> None:
    environment = environment_of("kafka")

    listeners = dict(
        item.split(":") for item in environment["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")
    )

    assert {item.split(":")[0] for item in environment["KAFKA_LISTENERS"].split(",")} == set(
        listeners
    )
    assert set(listeners.values()) == {"SASL_PLAINTEXT"}
    for name in listeners:
        login = environment[f"KAFKA_LISTENER_NAME_{name}_PLAIN_SASL_JAAS_CONFIG"]
        assert 'user_crossdock="secret-kafka";' in login


@every_stage
def test_a_service_is_ready_when_its_ops_port_says_so(stage: str) -> None:
    service = read_compose()["services"][stage]
    check = service["healthcheck"]
    assert isinstance(check, dict)

    if stage == PROVISION.name:
        assert check == {"disable": True}
    else:
        port = environment_of(stage)["CROSSDOCK_OPS_PORT"]
        assert f"http://127.0.0.1:{port}/ready" in check["test"][-1]
        ast.parse(check["test"][-1])


@every_stage
def test_a_service_has_longer_to_stop_than_its_stage_to_drain(stage: str) -> None:
    grace = str(read_compose()["services"][stage]["stop_grace_period"])

    assert float(grace.removesuffix("s")) > Settings().drain_s


@pytest.mark.parametrize("name", GIVEN)
def test_no_secret_has_a_default(name: str) -> None:
    given = {other: value for other, value in GIVEN.items() if other != name}

    with pytest.raises(LookupError, match=name):
        read_compose(given)


def test_the_catalogue_is_the_built_in_one_at_the_simulators_address() -> None:
    environment = environment_of("simulator")
    address = f"http://simulator:{environment['CROSSDOCK_SIMULATOR_PORT']}"

    catalogue = load_catalogue(ROOT / "infra/docker/catalogue.json")

    built_in = simulated_catalogue(1).model_dump_json().replace("http://127.0.0.1:1", address)
    assert catalogue.model_dump_json() == built_in


def test_the_image_is_made_of_what_the_repository_has() -> None:
    folder = ROOT / "infra/docker"
    dockerfile = (folder / "Dockerfile").read_text()

    copied = [
        line.split()[1]
        for line in dockerfile.splitlines()
        if line.startswith("COPY") and "--from" not in line
    ]

    allowed = (folder / "Dockerfile.dockerignore").read_text().splitlines()
    assert copied
    for path in copied:
        assert (ROOT / path).exists(), path
        assert f"!{path}" in allowed, path


def test_the_image_runs_as_nobody_in_particular_and_installs_only_what_is_hashed() -> None:
    dockerfile = (ROOT / "infra/docker/Dockerfile").read_text()

    assert "\nUSER 10001\n" in dockerfile
    assert "--require-hashes" in dockerfile


class FakeS3(BaseHTTPRequestHandler):
    """Takes whatever is put, and says so."""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("etag", '"1"')
        self.send_header("content-length", "0")
        self.end_headers()

    @override
    def log_message(self, format: str, *args: object) -> None:  # the base's name
        """Nothing to say."""


_PUT = """
import asyncio, os
from crossdock.kernel.drivers.object_store import open_objects
asyncio.run(open_objects(os.environ["CROSSDOCK_OBJECTS_URL"]).put("path", b"data"))
os._exit(0)  # obstore's threads abort an interpreter that ends right after an operation (1 in 5, under load)
"""


@pytest.mark.enable_socket
def test_the_doors_settings_reach_an_object_store_over_plain_http() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), FakeS3) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        environment = os.environ | environment_of("batches") | {"AWS_ENDPOINT_URL": address}  # noqa: TID251

        done = subprocess.run(
            [sys.executable, "-c", _PUT],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        server.shutdown()

    assert done.returncode == 0, done.stderr[-500:]
