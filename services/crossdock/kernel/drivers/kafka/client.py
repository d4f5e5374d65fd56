"""Starts clients of aiokafka, with errors of ours."""

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError

from crossdock.kernel.process.errors import LogError, LogUnreachableError


async def start_client(raw: AIOKafkaConsumer | AIOKafkaProducer, servers: str, kind: str) -> None:
    """Start `raw`; a client that does not start is stopped.

    Raises:
        LogUnreachableError: if no broker answers.
        LogError: if Kafka refuses; `kind` names the client.
    """
    try:
        await raw.start()
    except KafkaConnectionError as error:
        await raw.stop()
        raise LogUnreachableError(servers) from error
    except KafkaError as error:
        await raw.stop()
        raise LogError(f"cannot start a {kind}: {error!r}") from error
