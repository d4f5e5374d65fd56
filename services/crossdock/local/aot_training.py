"""Trains a Kafka node once, so that later nodes start in half the time and are fast from the beginning.

The JVM of the trained node stores the classes that it loaded and the methods to compile (JEP 483 and 515): 80 MB,
beside the jars. A JVM that this file does not fit ignores it.
"""

import asyncio
import secrets
import subprocess
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structlog

from crossdock.kernel.drivers.kafka import (
    GroupConsumer,
    open_producer,
    open_reader,
    open_transactional_producer,
    provision,
)
from crossdock.kernel.process.errors import CrossdockError
from crossdock.kernel.process.record import Outgoing
from crossdock.local.jars import alone, cache_folder, kafka_jars, memory_path
from crossdock.local.kafka import ENVIRONMENT, KafkaNode
from crossdock.local.kafka_user import let_in
from crossdock.local.ports import free_port
from crossdock_schemas.topics import ACCOUNT_JOURNAL, ACCOUNT_STATE, ADMITTED, REQUESTS, provisioned

log: structlog.stdlib.BoundLogger = structlog.get_logger()

ROUNDS = 1000
START_S = 60.0
LIMIT_S = 120.0
"""Limit for the work, and for the file: on a busy machine each takes some 20 s."""


def trained_jars(java: Path, environ: Mapping[str, str]) -> Path:
    """Return the folder of Kafka's jars in the user's cache; the first use fetches them and trains a node.

    Raises:
        ProcessError: if they are missing and cannot be fetched.
    """
    jars = kafka_jars(cache_folder(environ))
    train(java, jars)
    return jars


def train(java: Path, jars: Path) -> None:
    """Train a node for this JRE, unless one was trained. A failed training is not repeated; nodes start without."""
    memory = memory_path(jars)
    if memory.exists():
        return
    try:
        with alone(jars.parent), tempfile.TemporaryDirectory(dir=jars.parent) as scratch:
            if memory.exists():  # another process did it during the wait
                return
            log.info("kafka.training", remedy="none: once, for 15 to 40 s; later starts are faster")
            found = Path(scratch) / "memory"
            try:
                _learn(
                    KafkaNode(Path(scratch) / "kafka", free_port(), free_port(), java, jars), found
                )
            except (CrossdockError, TimeoutError, subprocess.TimeoutExpired) as error:
                log.warning("kafka.not_trained", reason=str(error))
            found.touch()
            found.rename(memory)
    except OSError as error:
        log.warning("kafka.not_trained", reason=str(error))


def _learn(node: KafkaNode, memory: Path) -> None:
    node.prepare()
    process = subprocess.Popen(  # noqa: S603  # our own arguments
        node.training_argv(memory),
        cwd=node.folder,
        env=dict(ENVIRONMENT),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with ThreadPoolExecutor(1) as elsewhere:  # a loop may run in this thread
            elsewhere.submit(asyncio.run, _work(node)).result()
        process.terminate()
        process.wait(LIMIT_S)
    finally:
        process.kill()
        process.wait()


async def _work(node: KafkaNode) -> None:
    """Work as the stages do: read a record, and write others in one transaction over topics that a reader follows."""
    servers = node.bootstrap_servers
    await let_in(node, secrets.token_hex(24), timeout_s=START_S)
    async with asyncio.timeout(LIMIT_S):
        await provision(servers, provisioned((), 1))
        request, *decided = (
            Outgoing(topic.name, b"key", b"value" * 200, [], 0)
            for topic in (REQUESTS, ADMITTED, ACCOUNT_JOURNAL, ACCOUNT_STATE)
        )
        async with (
            open_producer(servers, client="training") as ingress,
            open_reader(servers, [(REQUESTS.name, 0)], client="training.requests") as requests,
            open_transactional_producer(servers, client="p", transactional_id="p") as accounts,
            open_reader(servers, [(ADMITTED.name, 0)], client="training.admitted") as admitted,
        ):
            for _ in range(ROUNDS):
                await ingress.send([request])
                await _some(requests)
                await accounts.commit(decided)
                await _some(admitted)


async def _some(reader: GroupConsumer) -> None:
    while not await reader.poll(max_records=10, timeout_ms=100):
        pass
