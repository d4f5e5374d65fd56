"""Users of the embedded engine, and the engine's configuration that bounds them. Pure.

chdb opens every session as one user of the engine, so each of our users is a role of it: the server sets the role
before a statement, and no statement can change it (`statement_check`).
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from crossdock.kernel.process.errors import TableError

OWNER, PROVISION, METERING, READER = "owner", "provision", "metering", "reader"
STAGE_USERS = (PROVISION, METERING)
MAX_SECONDS = 300
MAX_MEMORY_BYTES = 4_294_967_296
MAX_QUERY_BYTES = 1_048_576
MAX_RESULT_BYTES = 1_073_741_824
MAX_THREADS = 16

_WRITES = (
    "SELECT, SHOW, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP DATABASE, DROP TABLE, DROP VIEW, "
    "TRUNCATE, OPTIMIZE, CHECK"
)
GRANTS = {
    OWNER: f"{_WRITES} ON *.*",
    PROVISION: f"{_WRITES} ON crossdock.*",
    METERING: "INSERT, SHOW COLUMNS ON crossdock.*",
    READER: "SELECT, SHOW ON crossdock.*",
}
"""The rights of each user. None has a source outside of the engine: file, url, s3, remote, executable, other stores."""

_FIXED = {
    "allow_experimental_eval_table_function": 0,
    "allow_introspection_functions": 0,
    "dialect": "clickhouse",
    "format_avro_schema_registry_url": "",
    "format_schema": "",
    "format_template_resultset": "",
    "format_template_row": "",
    "input_format_values_deduce_templates_of_expressions": 0,
    "input_format_values_interpret_expressions": 0,
}
"""Settings that no statement may change."""
_LIMITS = {
    "max_execution_time": MAX_SECONDS,
    "max_memory_usage": MAX_MEMORY_BYTES,
    "max_query_size": MAX_QUERY_BYTES,
    "max_result_bytes": MAX_RESULT_BYTES,
}
"""Limits that a statement may lower."""
_THREADS = ("max_threads", "max_insert_threads")


class DeniedError(TableError):
    """The server refuses a statement before the engine sees it. `number` is ClickHouse's error code."""

    code = "denied"

    def __init__(self, message: str, number: int = 497, status: int = 403) -> None:
        super().__init__(message)
        self.number = number
        self.status = status


@dataclass(frozen=True)
class Users:
    """The users of a server, with the SHA-256 of each secret."""

    digests: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> "Users":
        """Read `name=digest,...`.

        Raises:
            ValueError: if a name or a digest is invalid.
        """
        digests = dict(item.partition("=")[::2] for item in text.split(","))
        for name, found in digests.items():
            if name not in GRANTS or len(bytes.fromhex(found)) != hashlib.sha256().digest_size:
                raise ValueError(
                    f"invalid user {name!r}: use NAME=SHA256, NAME is one of {', '.join(GRANTS)}"
                )
        return cls(digests)

    def check(self, name: str, secret: str) -> str:
        """Return the user's name.

        Raises:
            DeniedError: if the user is unknown or the secret is wrong.
        """
        wanted = self.digests.get(name, "")
        if not hmac.compare_digest(wanted, digest_of(secret)):
            raise DeniedError(
                "Authentication failed: user or secret is wrong: take CLICKHOUSE_URL from `crossdock env`",
                number=516,
                status=401,
            )
        return name


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()


def users_xml() -> str:
    """Return the engine's file of users: roles with their rights, and limits of every statement."""
    values = _FIXED | _LIMITS
    settings = "".join(f"<{name}>{value}</{name}>" for name, value in values.items())
    bounds = "".join(
        (
            *(f"<{name}><readonly/></{name}>" for name in _FIXED),
            *(
                f"<{n}><min>1</min><max>{v}</max></{n}>" for n, v in _LIMITS.items()
            ),  # 0 is unlimited
            *(f"<{name}><max>{MAX_THREADS}</max></{name}>" for name in _THREADS),
        )
    )
    roles = "".join(
        f"<{name}><grants><query>GRANT {grants}</query></grants></{name}>"
        for name, grants in GRANTS.items()
    )
    return (
        f"<clickhouse><profiles><default>{settings}<constraints>{bounds}</constraints></default></profiles>"
        f"<quotas><default/></quotas><roles>{roles}</roles><users><default><no_password/>"
        "<networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>"
        f"<grants><query>GRANT {', '.join(GRANTS)}</query></grants></default></users></clickhouse>"
    )
