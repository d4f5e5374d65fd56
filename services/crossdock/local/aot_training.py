"""A Kafka node that practises once, so that all later ones start in half the time and are quick from the beginning on.

Its JVM writes down which classes it loaded, and which methods are worth compiling (JEP 483 and 515): 80 MB, beside the
jars. Whoever reads it checks that it fits, and goes without where it does not.
"""

import asyncio
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
    wait_for_broker,
)
from crossdock.kernel.process.errors import CrossdockError
from crossdock.kernel.process.record import Outgoing
from crossdock.local.jars import alone, cache_folder, kafka_jars, memory_path
from crossdock.local.kafka import KafkaNode
from crossdock.local.ports import free_port
from crossdock_schemas.topics import ACCOUNT_JOURNAL, ACCOUNT_STATE, ADMITTED, REQUESTS, provisioned

log: structlog.stdlib.BoundLogger = structlog.get_logger()

ROUNDS = 1000
START_S = 60.0
LIMIT_S = 120.0
"""For the work, and for the writing down: on a busy machine some 20 s each."""


def practised_jars(java: Path, environ: Mapping[str, str]) -> Path:
    """Return the folder of Kafka's jars, in the user's cache; on first use they are fetched, and a node practises.

    Raises:
        ProcessError: if they are not there and cannot be fetched.
    """
    jars = kafka_jars(cache_folder(environ))
    practise(java, jars)
    return jars


def practise(java: Path, jars: Path) -> None:
    """Let a node practise, if none did with this JRE; one that cannot is not asked again, and nothing else changes."""
    memory = memory_path(jars)
    if memory.exists():
        return
    try:
        with alone(jars.parent), tempfile.TemporaryDirectory(dir=jars.parent) as scratch:
            if memory.exists():  # somebody else's did while we waited
                return
            log.info("kafka.practises", remedy="once, for 15 to 40 s: later starts are quicker")
            found = Path(scratch) / "memory"
            try:
                _learn(
                    KafkaNode(Path(scratch) / "kafka", free_port(), free_port(), java, jars), found
                )
            except (CrossdockError, TimeoutError, subprocess.TimeoutExpired) as error:
                log.warning("kafka.not_practised", reason=str(error))
            found.touch()
            found.rename(memory)
    except OSError as error:
        log.warning("kafka.not_practised", reason=str(error))


def _learn(node: KafkaNode, memory: Path) -> None:
    node.prepare()
    process = subprocess.Popen(  # noqa: S603  # our own arguments
        node.practising_argv(memory),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with ThreadPoolExecutor(1) as elsewhere:  # here a loop may run already
            elsewhere.submit(asyncio.run, _work(node.bootstrap_servers)).result()
        process.terminate()
        process.wait(LIMIT_S)
    finally:
        process.kill()
        process.wait()


async def _work(servers: str) -> None:
    """Do what stages do: take a record, and write others in a transaction over several topics, which somebody reads."""
    await wait_for_broker(servers, timeout_s=START_S)
    async with asyncio.timeout(LIMIT_S):
        await provision(servers, provisioned((), 1))
        request, *decided = (
            Outgoing(topic.name, b"key", b"value" * 200, [], 0)
            for topic in (REQUESTS, ADMITTED, ACCOUNT_JOURNAL, ACCOUNT_STATE)
        )
        async with (
            open_producer(servers, client="practice") as ingress,
            open_reader(servers, [(REQUESTS.name, 0)], client="practice.requests") as requests,
            open_transactional_producer(servers, client="p", transactional_id="p") as accounts,
            open_reader(servers, [(ADMITTED.name, 0)], client="practice.admitted") as admitted,
        ):
            for _ in range(ROUNDS):
                await ingress.send([request])
                await _some(requests)
                await accounts.commit(decided)
                await _some(admitted)


async def _some(reader: GroupConsumer) -> None:
    while not await reader.poll(max_records=10, timeout_ms=100):
        pass
