"""The doors of this machine: who has no secret gets nothing, and each process has only the secrets that it needs."""

import asyncio
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from crossdock.kernel.drivers.kafka import make_user, wait_for_broker
from crossdock.kernel.process.errors import LogError
from crossdock.kernel.process.kafka_settings import ACCESS, KafkaSettings
from support.attacks import SECRET, Attacked
from support.dock import crossdock

TABLES = {"metering.0": "metering"}
OWN = {
    "ingress.0": {"key-secret"},
    "clickhouse.0": set(),
    "kafka": set(),
    "simulator.0": set(),
}
"""Which secrets of the data folder a process has in its environment, besides Kafka's and ClickHouse's."""
STAGES = {"ingress.0", "accounts.0", "batches.0", "router.0", "provider.0", "metering.0"}


@pytest.fixture
def secrets(attacked: Attacked) -> dict[str, str]:
    """The secrets of the data folder, by file."""
    folder = attacked.dock.data.path
    names = ("api-key", "owner-key", "key-secret", "master-key", "kafka-secret")
    files = [*(folder / name for name in names), *folder.glob("clickhouse-*")]
    return {file.name: file.read_text().strip() for file in files if file.is_file()}


@pytest.fixture(autouse=True)
def nothing_restarts(attacked: Attacked) -> Iterator[None]:
    before = restarts(attacked)
    yield
    assert restarts(attacked) == before
    assert attacked.dock.are_ready()


def restarts(attacked: Attacked) -> dict[str, int]:
    return {name: process["restarts"] for name, process in attacked.dock.processes().items()}


def test_each_process_has_only_the_secrets_that_it_needs(
    attacked: Attacked, secrets: dict[str, str]
) -> None:
    found = {}
    for name, pid in attacked.dock.pids().items():
        process = psutil.Process(pid)
        environ = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
        held = {file for file, secret in secrets.items() if secret in environ}
        held |= {"provider key"} if SECRET in environ else set()
        found[name] = held
        words = " ".join(process.cmdline())
        assert not [file for file, secret in secrets.items() if secret in words]

    wanted: dict[str, set[str]] = {name: OWN.get(name, set()) for name in found}
    for name in STAGES:
        wanted[name] = wanted[name] | {"kafka-secret"}
    wanted["metering.0"] = wanted["metering.0"] | {"clickhouse-metering"}
    wanted["provider.0"] = wanted["provider.0"] | {"provider key"}
    assert found == wanted


def test_java_gets_no_variable_of_ours(attacked: Attacked) -> None:
    environ = Path(f"/proc/{attacked.dock.pids()['kafka']}/environ").read_bytes()

    assert environ.rstrip(b"\0") == b"LC_ALL=C.UTF-8"


def test_the_files_of_an_installation_are_its_owners_alone(
    attacked: Attacked, secrets: dict[str, str]
) -> None:
    folder = attacked.dock.data.path
    state = folder / "run" / "state.json"
    properties = folder / "kafka" / "server.properties"

    modes = {
        file.name: stat.S_IMODE(file.stat().st_mode)
        for file in (state, properties, *(folder / name for name in secrets))
    }

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert set(modes.values()) == {0o600}, modes


def test_no_log_and_no_status_shows_a_secret(attacked: Attacked, secrets: dict[str, str]) -> None:
    folder = attacked.dock.data.path
    status = crossdock("status", "--json", "--data-dir", str(folder)).stdout
    texts = {file.name: file.read_text(errors="replace") for file in (folder / "logs").iterdir()}

    shown = [
        (name, file)
        for name, text in (texts | {"status": status}).items()
        for file, secret in secrets.items()
        if secret in text and file != "api-key"
    ]

    assert shown == []
    assert json.loads(status)["addresses"].keys() == {
        *(
            "OPENAI_BASE_URL",
            "CLICKHOUSE_URL",
            "KAFKA_BOOTSTRAP_SERVERS",
            "CROSSDOCK_SIMULATOR_URL",
        ),
    }


def test_clickhouse_answers_nobody_without_a_secret(attacked: Attacked) -> None:
    url = httpx.URL(attacked.dock.addresses["CLICKHOUSE_URL"])
    here = f"http://127.0.0.1:{url.port}"
    mine = (url.username, url.password)

    for auth in (("", ""), ("default", ""), ("owner", url.password), ("reader", "x")):
        assert httpx.post(here, content="SELECT 1", auth=auth).status_code == 401, auth
    rebound = httpx.post(here, content="SELECT 1", auth=mine, headers={"host": "evil.example"})
    page = httpx.post(
        here, content="SELECT 1", auth=mine, headers={"origin": "http://evil.example"}
    )
    write = httpx.post(here, content="DROP TABLE crossdock.attempts", auth=mine)
    key = httpx.post(
        here, content=f"SELECT file('{attacked.dock.data.path}/master-key')", auth=mine
    )

    assert [answer.status_code for answer in (rebound, page, write, key)] == [403] * 4
    assert httpx.post(here, content="SELECT 1", auth=mine).text == "1\n"


@pytest.mark.parametrize("user", ["", "crossdock", "node", "ANONYMOUS"])
async def test_kafka_answers_nobody_without_the_secret(attacked: Attacked, user: str) -> None:
    servers = attacked.dock.addresses["KAFKA_BOOTSTRAP_SERVERS"]
    right = ACCESS.of(servers)
    mechanism = "PLAIN" if user == "node" else "SCRAM-SHA-512"
    wrong = KafkaSettings.model_validate(
        {"kafka_bootstrap_servers": servers}
        | ({
            "kafka_security_protocol": "SASL_PLAINTEXT",
            "kafka_sasl_mechanism": mechanism,
            "kafka_sasl_username": user,
            "kafka_sasl_password": "guess",
        } if user else {})
    )  # fmt: skip

    try:
        ACCESS.use(wrong)
        with pytest.raises(LogError, match="refuses"):
            await wait_for_broker(servers, timeout_s=0)
        with pytest.raises(LogError):
            await asyncio.wait_for(make_user(wrong, "attacker", "x"), 30)
    finally:
        ACCESS.use(right)
    await wait_for_broker(servers, timeout_s=0)


async def test_the_controller_answers_nobody(attacked: Attacked) -> None:
    ports = json.loads((attacked.dock.data.path / "ports.json").read_text())
    servers = f"127.0.0.1:{ports['kafka_controller']}"
    right = ACCESS.of(attacked.dock.addresses["KAFKA_BOOTSTRAP_SERVERS"])
    for access in (KafkaSettings(), right):
        ACCESS.use(access.model_copy(update={"kafka_bootstrap_servers": servers}))
        with pytest.raises(LogError):
            await wait_for_broker(servers, timeout_s=0)
