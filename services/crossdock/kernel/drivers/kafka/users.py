"""Makes users of SASL/SCRAM on a broker."""

import hashlib
import secrets

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)
from typing_extensions import override

from crossdock.kernel.process.errors import LogError
from crossdock.kernel.process.kafka_settings import KafkaSettings

SCRAM_SHA_512 = 2
ITERATIONS = 4096
_NAME = CompactString("utf-8")


class _Answer(Response):  # type: ignore[misc]  # untyped upstream
    API_KEY, API_VERSION = 51, 0
    SCHEMA = Schema(
        ("throttle_ms", Int32),
        (
            "results",
            CompactArray(
                ("user", _NAME),
                ("error_code", Int16),
                ("error_message", _NAME),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _Alter(RequestStruct):  # type: ignore[misc]  # untyped upstream
    """AlterUserScramCredentials (KIP-554), which aiokafka lacks."""

    API_KEY, API_VERSION = 51, 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        ("deletions", CompactArray(("name", _NAME), ("mechanism", Int8), ("tags", TaggedFields))),
        (
            "upsertions",
            CompactArray(
                ("name", _NAME),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _AlterRequest(Request[_Alter]):  # type: ignore[misc]  # untyped upstream
    API_KEY = 51

    def __init__(self, name: str, password: str) -> None:
        salt = secrets.token_bytes(32)
        salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
        self._entry: tuple[object, ...] = (name, SCRAM_SHA_512, ITERATIONS, salt, salted, {})

    @override
    def build(self, request_struct_class: type[_Alter]) -> _Alter:
        return request_struct_class([], [self._entry], {})


async def make_user(admin: KafkaSettings, name: str, password: str) -> None:
    """Make a user, or give it another password, as the user `admin`.

    Raises:
        LogError: if Kafka refuses.
    """
    options = admin.client_options()
    client = AIOKafkaClient(bootstrap_servers=admin.kafka_bootstrap_servers, **options)
    try:
        await client.bootstrap()
        answer = await client.send(client.get_random_node(), _AlterRequest(name, password))
    except KafkaError as error:
        raise LogError(f"cannot make the user {name!r}: {error!r}") from error
    finally:
        await client.close()
    for _, code, message, _ in answer.results:
        if code:
            raise LogError(f"cannot make the user {name!r}: {for_code(code).__name__}: {message}")
