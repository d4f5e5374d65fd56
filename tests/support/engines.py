"""Real engines for tests, as child processes: one Apache Kafka node, one embedded ClickHouse."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crossdock.local.aot_training import trained_jars
from crossdock.local.clickhouse.access import GRANTS, OWNER, digest_of
from crossdock.local.jars import java
from crossdock.local.kafka import ENVIRONMENT, KafkaNode
from crossdock.local.ports import free_port, is_open

START_S = 180.0
SECRET = "secret-of-every-user"


@dataclass
class RunningKafka:
    """A node that can be killed and started again on its port."""

    node: KafkaNode
    process: subprocess.Popen[bytes]

    @property
    def bootstrap_servers(self) -> str:
        return self.node.bootstrap_servers

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a process that connects."""
        return self.node.access(SECRET).variables()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def start(self) -> None:
        self.process = _spawn_kafka(self.node)


def _spawn_kafka(node: KafkaNode) -> subprocess.Popen[bytes]:
    with (node.folder / "out.log").open("ab") as out:
        process = subprocess.Popen(
            node.argv(),
            cwd=node.folder,
            env=dict(ENVIRONMENT),
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
        )
    _wait_open(node.port, process)
    return process


def _wait_open(port: int, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + START_S
    while not is_open(port):
        if process.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError(f"port {port} does not open")
        time.sleep(0.1)


def fetched_jars() -> Path:
    """Return the folder of Kafka's jars, in the user's cache."""
    return trained_jars(java(), os.environ)  # noqa: TID251  # the user's cache


@contextmanager
def start_kafka(folder: Path) -> Iterator[RunningKafka]:
    """Run a node that keeps its data in `folder`."""
    with run_node(KafkaNode(folder, free_port(), free_port(), java(), fetched_jars())) as kafka:
        yield kafka


@contextmanager
def run_node(node: KafkaNode, *, password: str = SECRET) -> Iterator[RunningKafka]:
    """Run `node`, with a user for this process."""
    node.prepare()
    kafka = RunningKafka(node, _spawn_kafka(node))
    try:
        from crossdock.local.kafka_user import let_in  # noqa: PLC0415  # needs a running loop's policy

        waiting = let_in(node, password, timeout_s=START_S)
        with ThreadPoolExecutor(1) as elsewhere:  # here a loop may run already
            elsewhere.submit(asyncio.run, waiting).result()
        yield kafka
    finally:
        kafka.kill()


@contextmanager
def start_clickhouse(folder: Path) -> Iterator[str]:
    """Run the embedded engine on `folder`; give its URL with the owner's secret, which all users have here."""
    port = free_port()
    env = dict(os.environ) | {  # noqa: TID251  # a child's environment
        "CROSSDOCK_ENGINE_FOLDER": str(folder),
        "CROSSDOCK_ENGINE_PORT": str(port),
        "CROSSDOCK_ENGINE_USERS": ",".join(f"{user}={digest_of(SECRET)}" for user in GRANTS),
    }
    argv = [sys.executable, "-m", "crossdock.local.clickhouse.main"]
    process = subprocess.Popen(argv, env=env, stderr=subprocess.DEVNULL)
    try:
        _wait_open(port, process)
        yield f"http://{OWNER}:{SECRET}@127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
