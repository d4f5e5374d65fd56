"""Kafka with users and TLS: every way to connect, for aiokafka and faust, and each refusal with its remedy."""

import asyncio
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typing_extensions import override

from crossdock.kernel.drivers.kafka import (
    may_forget_ends,
    open_group_consumer,
    open_producer,
    open_transactional_producer,
    provision,
    wait_for_broker,
)
from crossdock.kernel.process.errors import LogError, LogRefusedError
from crossdock.kernel.process.kafka_settings import ACCESS, KafkaSettings
from crossdock.kernel.process.record import Outgoing, Record
from crossdock.kernel.runtime.agents.faust_runner import AgentRunner, AgentSpec
from crossdock.local.jars import java
from crossdock.local.kafka import KafkaNode
from crossdock.local.ports import free_port
from crossdock_schemas.topics import Provisioned
from support.certificates import Authority
from support.engines import SECRET, fetched_jars, run_node
from support.topics import fresh, in_background, values_of


@dataclass(frozen=True)
class TlsNode(KafkaNode):
    """A node with two listeners more: SSL with certificates on both sides, and SASL_SSL."""

    ssl_port: int = 0
    sasl_ssl_port: int = 0
    files: Path = Path()

    @override
    def _properties(self) -> str:
        more = f",MTLS://127.0.0.1:{self.ssl_port},USERS://127.0.0.1:{self.sasl_ssl_port}"
        plain = super()._properties()
        for name in ("listeners", "advertised.listeners"):
            plain = re.sub(rf"(?m)^({re.escape(name)}=.*)$", rf"\1{more}", plain)
        return (
            plain.replace(
                "CONTROLLER:SASL_PLAINTEXT", "CONTROLLER:SASL_PLAINTEXT,MTLS:SSL,USERS:SASL_SSL"
            )
            + "ssl.keystore.type=PEM\nssl.truststore.type=PEM\n"
            + f"ssl.keystore.location={self.files}/store.pem\nssl.truststore.location={self.files}/ca.pem\n"
            + "listener.name.mtls.ssl.client.auth=required\n"
            + "listener.name.users.sasl.enabled.mechanisms=SCRAM-SHA-512\n"
            + "listener.name.users.scram-sha-512.sasl.jaas.config="
            + "org.apache.kafka.common.security.scram.ScramLoginModule required;\n"
        )


@dataclass
class Ways:
    """The node, and the files of its authority."""

    node: TlsNode
    authority: Authority
    client: tuple[Path, Path]

    def way(self, protocol: str) -> KafkaSettings:
        port = {"SSL": self.node.ssl_port, "SASL_SSL": self.node.sasl_ssl_port}
        servers = f"127.0.0.1:{port.get(protocol, self.node.port)}"
        fields: dict[str, object] = {
            "kafka_bootstrap_servers": servers,
            "kafka_security_protocol": protocol,
        }
        if protocol.startswith("SASL"):
            fields |= {"kafka_sasl_username": "crossdock", "kafka_sasl_password": SECRET}
        if protocol.endswith("SSL"):
            fields["kafka_ssl_cafile"] = self.authority.cafile
        if protocol == "SSL":
            fields["kafka_ssl_certfile"], fields["kafka_ssl_keyfile"] = self.client
        return KafkaSettings.model_validate(fields)


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder)
    certificate, key = authority.issue("broker")
    (folder / "store.pem").write_bytes(key.read_bytes() + certificate.read_bytes())
    node = TlsNode(
        folder / "kafka",
        free_port(),
        free_port(),
        java(),
        fetched_jars(),
        ssl_port=free_port(),
        sasl_ssl_port=free_port(),
        files=folder,
    )
    with run_node(node):
        yield Ways(node, authority, authority.issue("client"))


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SSL", "SASL_SSL"])
async def test_every_client_works_over_every_protocol(
    ways: Ways, tmp_path: Path, protocol: str
) -> None:
    access = ways.way(protocol)
    ACCESS.use(access)
    servers, source = access.kafka_bootstrap_servers, fresh("source")
    target, positions = fresh("target"), fresh("positions")

    async def forward(records: Sequence[Record]) -> list[Outgoing]:
        return [Outgoing(target, r.key, r.value, []) for r in records]

    await wait_for_broker(servers, timeout_s=10)
    await may_forget_ends(servers)
    await provision(servers, [Provisioned(name, 1) for name in (source, target, positions)])
    async with open_transactional_producer(
        servers, client="t", transactional_id=fresh("t")
    ) as producer:
        await producer.commit([Outgoing(source, b"k", b"v", [])])
    async with open_group_consumer(servers, [source], group=fresh("g"), instance="0") as consumer:
        found: list[Record] = []
        give_up = time.monotonic() + 20
        while not found and time.monotonic() < give_up:
            found = await consumer.poll(max_records=10, timeout_ms=200)
    agent = AgentRunner(
        AgentSpec(fresh("agent"), source, positions),
        servers,
        forward,
        instance="0",
        folder=tmp_path,
    )
    seen: list[bytes | None] = []

    async def run(stop: asyncio.Event) -> None:
        await agent.run(stop, lambda: None)

    async with in_background(run):
        give_up = time.monotonic() + 40
        while not seen and time.monotonic() < give_up:
            seen = list(await values_of(servers, target))

    assert ([r.value for r in found], seen) == ([b"v"], [b"v"])


WRONG: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "password": ({"kafka_sasl_password": SecretStr("wrong")}, "'crossdock' or its password: check KAFKA_SASL_USERNAME"),
    "user": ({"kafka_sasl_username": "nobody"}, "'nobody' or its password"),
    "mechanism": ({"kafka_sasl_mechanism": "SCRAM-SHA-256"}, "SCRAM-SHA-256: set KAFKA_SASL_MECHANISM"),
    "node's own": ({"kafka_sasl_mechanism": "PLAIN"}, "password"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_user_is_told_at_once_with_the_remedy(ways: Ways, name: str) -> None:
    fields, remedy = WRONG[name]
    access = ways.way("SASL_PLAINTEXT").model_copy(update=fields)
    await _refused(access, remedy)


async def test_a_listener_of_another_protocol_is_told(ways: Ways) -> None:
    sasl, tls = ways.way("SASL_PLAINTEXT"), ways.way("SASL_SSL")
    servers, secure = sasl.kafka_bootstrap_servers, tls.kafka_bootstrap_servers

    plain = KafkaSettings(kafka_bootstrap_servers=servers)
    over_tls = sasl.model_copy(update={"kafka_bootstrap_servers": secure})
    mixed = tls.model_copy(update={"kafka_bootstrap_servers": servers})
    unknown = tls.model_copy(update={"kafka_ssl_cafile": None})

    await _refused(plain, "PLAINTEXT connections: set KAFKA_SECURITY_PROTOCOL")
    await _refused(over_tls, "SASL_PLAINTEXT connections: set KAFKA_SECURITY_PROTOCOL")
    await _refused(mixed, "TLS|SASL_SSL connections")
    await _refused(unknown, r"TLS \(.*: check KAFKA_SSL_CAFILE")


async def _refused(access: KafkaSettings, remedy: str) -> None:
    ACCESS.use(access)
    servers = access.kafka_bootstrap_servers
    started = time.monotonic()
    with pytest.raises(LogRefusedError, match=remedy):
        await wait_for_broker(servers, timeout_s=60)
    with pytest.raises(LogError, match=remedy):
        async with open_producer(servers, client="test"):
            pass
    assert time.monotonic() - started < 20


async def test_nobody_without_a_secret_reaches_the_controller(ways: Ways) -> None:
    servers = f"127.0.0.1:{ways.node.controller_port}"
    for access in (
        KafkaSettings(kafka_bootstrap_servers=servers),
        ways.way("SASL_PLAINTEXT").model_copy(update={"kafka_bootstrap_servers": servers}),
    ):
        ACCESS.use(access)
        with pytest.raises(LogError):
            await wait_for_broker(servers, timeout_s=2)


async def test_a_node_that_was_formatted_without_users_gets_them(
    tmp_path: Path,
) -> None:
    """A data folder of an earlier version, and one with a new password."""
    node = KafkaNode(tmp_path / "kafka", free_port(), free_port(), java(), fetched_jars())
    with run_node(node, password="first"):
        pass
    with run_node(node, password="second"):
        await wait_for_broker(node.bootstrap_servers, timeout_s=5)
        ACCESS.use(node.access("first"))
        with pytest.raises(LogRefusedError):
            await wait_for_broker(node.bootstrap_servers, timeout_s=5)
