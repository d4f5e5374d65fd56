"""Creates the topics, and checks the topics that exist."""

import asyncio
import time
from collections.abc import Sequence

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError, for_code
from aiokafka.protocol.admin import ApiVersionRequest

from crossdock.kernel.drivers.kafka.client import unreachable
from crossdock.kernel.process.errors import LogError, LogRefusedError
from crossdock.kernel.process.kafka_settings import ACCESS
from crossdock_schemas.topics import Provisioned

START_S = 3.0  # a broker that starts may refuse what it serves later
DESCRIBE_LOG_DIRS, SINCE_4_3 = 35, 5
"""The request whose newest version distinguishes Kafka 4.3 from 4.2; brokers do not report their release."""


async def wait_for_broker(servers: str, *, timeout_s: float) -> None:
    """Return when a broker answers.

    Raises:
        LogUnreachableError: if no broker answered within `timeout_s`.
        LogRefusedError: if a broker refuses this process for some seconds.
    """
    give_up = time.monotonic() + timeout_s
    refused_until = give_up
    while not await is_up(servers):
        reason = await unreachable(servers)
        if isinstance(reason, LogRefusedError):
            refused_until = min(refused_until, time.monotonic() + START_S)
        else:
            refused_until = give_up
        if time.monotonic() > refused_until:
            raise reason
        await asyncio.sleep(0.5)


async def is_up(servers: str) -> bool:
    """Return whether a broker answers a new connection within 5 s."""
    admin = AIOKafkaAdminClient(**ACCESS.options(servers), request_timeout_ms=3000)
    try:
        await asyncio.wait_for(admin.start(), timeout=5)
    except (KafkaError, OSError, TimeoutError):
        return False
    else:
        return True
    finally:
        await admin.close()


async def may_forget_ends(servers: str) -> bool:
    """Return whether the brokers run Kafka 4.3 or newer: 4.3.0 and 4.3.1 leave out ends of transactions (ADR 0027).

    Raises:
        LogUnreachableError: if no broker answers.
    """
    client = AIOKafkaClient(**ACCESS.options(servers))
    try:
        await client.bootstrap()
        answer = await client.send(client.get_random_node(), ApiVersionRequest())
    except KafkaError as error:
        raise await unreachable(servers) from error
    finally:
        await client.close()
    newest = {key: newest for key, _, newest in answer.api_versions}
    return int(newest.get(DESCRIBE_LOG_DIRS, 0)) >= SINCE_4_3


async def places_of(servers: str, topic: str) -> list[tuple[str, int]]:
    """Return every partition of `topic`.

    Raises:
        LogUnreachableError: if no broker answers.
        LogError: if there is no such topic.
    """
    admin = AIOKafkaAdminClient(**ACCESS.options(servers))
    try:
        await admin.start()
        (described,) = await admin.describe_topics([topic])
    except KafkaConnectionError as error:
        raise await unreachable(servers) from error
    except KafkaError as error:
        raise LogError(f"cannot describe topic {topic!r}: {error!r}") from error
    finally:
        await admin.close()
    if described["error_code"]:
        reason = for_code(described["error_code"]).__name__
        raise LogError(f"cannot read topic {topic!r} at {servers!r}: {reason}")
    return [(topic, number) for number in range(len(described["partitions"]))]


async def topics_of(servers: str) -> list[str]:
    """Return the names of all topics.

    Raises:
        LogUnreachableError: if no broker answers.
        LogError: if Kafka refuses.
    """
    admin = AIOKafkaAdminClient(**ACCESS.options(servers))
    try:
        await admin.start()
        return sorted(await admin.list_topics())
    except KafkaConnectionError as error:
        raise await unreachable(servers) from error
    except KafkaError as error:
        raise LogError(f"cannot list the topics: {error!r}") from error
    finally:
        await admin.close()


async def provision(
    servers: str, wanted: Sequence[Provisioned], *, replication: int = 1
) -> list[str]:
    """Create the topics that are missing; return their names.

    Raises:
        LogUnreachableError: if no broker answers.
        LogError: if a topic exists with another number of partitions, or cannot be created.
    """
    admin = AIOKafkaAdminClient(**ACCESS.options(servers))
    try:
        await admin.start()
    except KafkaConnectionError as error:
        await admin.close()
        raise await unreachable(servers) from error
    try:
        existing = set(await admin.list_topics())
        await _check(admin, [topic for topic in wanted if topic.name in existing])
        missing = [topic for topic in wanted if topic.name not in existing]
        await _create(admin, missing, replication)
    except KafkaError as error:
        raise LogError(f"cannot create the topics: {error!r}") from error
    finally:
        await admin.close()
    return [topic.name for topic in missing]


async def _check(admin: AIOKafkaAdminClient, topics: Sequence[Provisioned]) -> None:
    if not topics:
        return
    described = await admin.describe_topics([topic.name for topic in topics])
    counts = {entry["topic"]: len(entry["partitions"]) for entry in described}
    for topic in topics:
        if counts[topic.name] != topic.partitions:
            raise LogError(
                f"topic {topic.name!r} has {counts[topic.name]} partitions, not {topic.partitions}: set "
                f"CROSSDOCK_PARTITIONS={counts[topic.name]} (partitions are never added, because keys would move)"
            )


async def _create(
    admin: AIOKafkaAdminClient, topics: Sequence[Provisioned], replication: int
) -> None:
    if not topics:
        return
    response = await admin.create_topics(
        [NewTopic(t.name, t.partitions, replication, topic_configs=t.config) for t in topics]
    )
    for name, code, *_ in response.topic_errors:
        if code and for_code(code) is not TopicAlreadyExistsError:
            raise LogError(f"cannot create topic {name!r}: {for_code(code).__name__}")
