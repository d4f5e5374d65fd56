"""Starts clients of aiokafka, with errors of ours."""

import asyncio
import ssl

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from crossdock.kernel.process.errors import LogError, LogRefusedError, LogUnreachableError
from crossdock.kernel.process.kafka_settings import ACCESS, KafkaSettings

ASK_MS = 3000


async def start_client(raw: AIOKafkaConsumer | AIOKafkaProducer, servers: str, kind: str) -> None:
    """Start `raw`; a client that does not start is stopped.

    Raises:
        LogRefusedError: if a broker refuses this process.
        LogUnreachableError: if no broker answers.
        LogError: if Kafka refuses; `kind` names the client.
    """
    try:
        await raw.start()
    except KafkaConnectionError as error:
        await raw.stop()
        raise await unreachable(servers) from error
    except KafkaError as error:
        await raw.stop()
        raise LogError(f"cannot start a {kind}: {error!r}") from error


async def unreachable(servers: str) -> LogError:
    """Return why no client starts: aiokafka reports every reason as no connection."""
    return await probe(servers) or LogUnreachableError(servers)


async def probe(servers: str) -> LogError | None:
    """Return why the first broker that answers refuses this process; None if it serves it."""
    access = ACCESS.of(servers)
    for host, port, _ in collect_hosts(servers):
        try:
            await _connect(host, port, access)
        except (KafkaConnectionError, ConnectionResetError):
            if await _is_open(host, port):
                protocol = access.kafka_security_protocol
                reason = (
                    f"{protocol} connections: set KAFKA_SECURITY_PROTOCOL as its listener has it"
                )
                return LogRefusedError(servers, reason)
        except (SaslAuthenticationFailed, UnsupportedSaslMechanismError, ssl.SSLError) as error:
            return LogRefusedError(servers, _reason(error, access))
        except (OSError, TimeoutError, KafkaError):
            continue
        else:
            return None
    return LogUnreachableError(servers)


async def _connect(host: str, port: int, access: KafkaSettings) -> None:
    connection = await create_conn(host, port, request_timeout_ms=ASK_MS, **access.client_options())
    try:
        await connection.send(MetadataRequest([]))  # a listener with users answers less without one
    finally:
        connection.close()


def _reason(error: Exception, access: KafkaSettings) -> str:
    if isinstance(error, SaslAuthenticationFailed):
        user = access.kafka_sasl_username
        return (
            f"the user {user!r} or its password: check KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"
        )
    if isinstance(error, UnsupportedSaslMechanismError):
        mechanism = access.kafka_sasl_mechanism
        return f"the mechanism {mechanism}: set KAFKA_SASL_MECHANISM to one that it has"
    reason = getattr(error, "verify_message", "") or getattr(error, "reason", "") or error
    return f"TLS ({reason}): check KAFKA_SSL_CAFILE, KAFKA_SSL_CERTFILE and the port in KAFKA_BOOTSTRAP_SERVERS"


async def _is_open(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(ASK_MS / 1000):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
