"""One Apache Kafka node (KRaft, broker and controller in one) as a child process: settings, storage, command."""

import base64
import os
import secrets
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from crossdock.kernel.process.errors import ProcessError
from crossdock.kernel.process.kafka_settings import KafkaSettings, Mechanism
from crossdock.local.jars import KAFKA_VERSION, memory_path

_LOG4J = """<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="WARN"><Appenders><Console name="out" target="SYSTEM_OUT">
<PatternLayout pattern="[%d] %p %m (%c)%n"/></Console></Appenders>
<Loggers><Root level="{level}"><AppenderRef ref="out"/></Root></Loggers></Configuration>
"""
_HEAP = "512m"
_QUICK = "-XX:TieredStopAtLevel=1"
"""The full JIT pays only after minutes of load, except in a trained node."""
_UNRECORDED_VERSION = "4.3.1"
USER = "crossdock"
"""The user of every stage."""
_NODE = "node"
_PLAIN_LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
_SCRAM_LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule"
ENVIRONMENT: Mapping[str, str] = {"LC_ALL": "C.UTF-8"}
"""All that Java gets: without it, it cannot name a folder beyond ASCII."""


@dataclass(frozen=True)
class KafkaNode:
    """A node on this machine. `folder` contains only its data and settings; Java runs in it.

    Clients are a user of SCRAM, which never sends its password. The node itself, also as its own controller, is a user
    of PLAIN with a secret of one start.
    """

    folder: Path
    port: int
    controller_port: int
    java: Path
    jars: Path
    secret: str = field(default_factory=lambda: secrets.token_hex(24), repr=False)

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Write the settings and, once, format the storage.

        Raises:
            ProcessError: if the folder cannot be written, a newer Kafka created it, or Kafka's formatter fails.
        """
        is_made = (self._data / "meta.properties").exists()
        if is_made:
            self._check_version()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "log4j2.xml").write_text(_LOG4J.format(level="WARN"))
            self._properties_path.unlink(missing_ok=True)
            with os.fdopen(
                os.open(self._properties_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w"
            ) as file:
                file.write(self._properties())
        except OSError as error:
            raise ProcessError(
                f"cannot write Kafka's settings to {self.folder}: {error.strerror}"
            ) from error
        if not is_made:
            self._format()
            self._version_path.write_text(f"{KAFKA_VERSION}\n")

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _properties_path(self) -> Path:
        return self.folder / "server.properties"

    @property
    def _version_path(self) -> Path:
        return self.folder / "version"

    def _check_version(self) -> None:
        path = self._version_path
        made_by = path.read_text().strip() if path.exists() else _UNRECORDED_VERSION
        if _numbers(made_by) > _numbers(KAFKA_VERSION):
            raise ProcessError(
                f"{self.folder} was created by Kafka {made_by}, which Kafka {KAFKA_VERSION} of this Crossdock cannot read: "
                f"let the earlier Crossdock finish its work, save your data, and start with another --data-dir"
            )

    def admin(self) -> KafkaSettings:
        """Return how the node's own user connects; it can make other users."""
        return self._access(_NODE, self.secret, "PLAIN")

    def access(self, password: str) -> KafkaSettings:
        """Return how the stages connect."""
        return self._access(USER, password, "SCRAM-SHA-512")

    def _access(self, user: str, password: str, mechanism: Mechanism) -> KafkaSettings:
        return KafkaSettings(
            kafka_bootstrap_servers=self.bootstrap_servers,
            kafka_security_protocol="SASL_PLAINTEXT",
            kafka_sasl_mechanism=mechanism,
            kafka_sasl_username=user,
            kafka_sasl_password=SecretStr(password),
        )

    def _properties(self) -> str:
        brokers = f"BROKER://127.0.0.1:{self.port}"
        login = f'{_PLAIN_LOGIN} required username="{_NODE}" password="{self.secret}" user_{_NODE}="{self.secret}";'
        values = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "listeners": f"{brokers},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": brokers,
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "BROKER",
            "listener.security.protocol.map": "BROKER:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
            "sasl.mechanism.inter.broker.protocol": "PLAIN",
            "sasl.mechanism.controller.protocol": "PLAIN",
            "listener.name.broker.sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
            "listener.name.broker.scram-sha-512.sasl.jaas.config": f"{_SCRAM_LOGIN} required;",
            "listener.name.broker.plain.sasl.jaas.config": login,
            "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.controller.plain.sasl.jaas.config": login,
            "log.dirs": self._data.name,  # why relative: a path may contain a comma, and Java reads ISO-8859-1 here
            "auto.create.topics.enable": "false",
            "num.partitions": 1,
            "default.replication.factor": 1,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            # why: after a kill -9 the new broker can register only after the session of the old one (default 9 s)
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            "num.network.threads": 2,
            "num.io.threads": 4,
            "log.cleaner.dedupe.buffer.size": 16_777_216,
            "log.segment.bytes": 134_217_728,
            # why: read-committed readers wait for an open transaction; Kafka looks often for those of dead owners
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
        }
        return "".join(f"{name}={value}\n" for name, value in values.items())

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        if cluster.startswith("-"):
            cluster = f"x{cluster[1:]}"  # Kafka reads a leading dash as an option
        done = subprocess.run(  # noqa: S603  # our own arguments
            [*self._jvm("-Xmx128m", _QUICK, *self._memory), "kafka.tools.StorageTool", "format", "--cluster-id", cluster,
             "--config", self._properties_path.name],
            cwd=self.folder,
            env=dict(ENVIRONMENT),
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        if done.returncode != 0:
            reason = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise ProcessError(f"Kafka cannot format {self._data}: {' '.join(reason)}")

    @property
    def _memory(self) -> list[str]:
        path = memory_path(self.jars)
        return [f"-XX:AOTCache={path}"] if path.is_file() and path.stat().st_size else []

    def _jvm(self, *options: str) -> list[str]:
        return [
            str(self.java),
            *options,
            "-XX:+UseSerialGC",
            "-XX:-UsePerfData",
            "-Dlog4j2.configurationFile=./log4j2.xml",
            "-cp",
            f"{self.jars}/*",
        ]

    def argv(self) -> Sequence[str]:
        """Return the command that runs the node in the foreground."""
        return self._run(*(self._memory or [_QUICK]))

    def training_argv(self, memory: Path) -> Sequence[str]:
        """Return the command that runs the node and, when it stops, writes the training to `memory`."""
        return self._run(f"-XX:AOTCacheOutput={memory}")

    def _run(self, *options: str) -> list[str]:
        return [*self._jvm(f"-Xmx{_HEAP}", *options), "kafka.Kafka", self._properties_path.name]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
