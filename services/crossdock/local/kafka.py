"""One Apache Kafka node (KRaft, broker and controller in one) as a child process: settings, storage, command."""

import base64
import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crossdock.kernel.process.errors import ProcessError
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


@dataclass(frozen=True)
class KafkaNode:
    """A node on this machine. `folder` contains only its data and settings."""

    folder: Path
    port: int
    controller_port: int
    java: Path
    jars: Path

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
            self._properties_path.write_text(self._properties())
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

    def _properties(self) -> str:
        listeners = (
            f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}"
        )
        values = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "listeners": listeners,
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": self._data,
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
             "--config", str(self._properties_path)],
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
            f"-Dlog4j2.configurationFile={self.folder / 'log4j2.xml'}",
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
        return [*self._jvm(f"-Xmx{_HEAP}", *options), "kafka.Kafka", str(self._properties_path)]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
