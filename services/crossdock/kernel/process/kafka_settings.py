"""How a process connects to Kafka: plain, with TLS, with a user and a password. The same names in every process."""

import ssl
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, SecretStr, model_validator
from pydantic_core import PydanticCustomError

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


class KafkaSettings(BaseModel):
    """KAFKA_*."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    """Brokers, host:port, comma-separated."""
    kafka_security_protocol: Protocol = "PLAINTEXT"
    """PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL, as the brokers' listener."""
    kafka_sasl_mechanism: Mechanism = "SCRAM-SHA-512"
    """PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."""
    kafka_sasl_username: str = ""
    """User of SASL."""
    kafka_sasl_password: SecretStr = SecretStr("")
    """Its password."""
    kafka_ssl_cafile: Path | None = None
    """File with the certificates that sign the brokers' (PEM); none: the system's."""
    kafka_ssl_certfile: Path | None = None
    """File with the client's certificate (PEM), if the brokers ask for one."""
    kafka_ssl_keyfile: Path | None = None
    """File with the key of that certificate (PEM); none: it is in the same file."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        for fault in (self._sasl_fault(), self._ssl_fault()):
            if fault:
                raise PydanticCustomError("kafka", "{fault}", {"fault": fault})
        return self

    def _sasl_fault(self) -> str:
        protocol = self.kafka_security_protocol
        given = {
            "KAFKA_SASL_USERNAME": self.kafka_sasl_username,
            "KAFKA_SASL_PASSWORD": self.kafka_sasl_password.get_secret_value(),
        }
        if protocol.startswith("SASL_"):
            missing = [name for name, value in given.items() if not value]
            return f"{protocol} needs {' and '.join(missing)}: set both" if missing else ""
        if any(given.values()):
            return f"a SASL user is set, but KAFKA_SECURITY_PROTOCOL is {protocol}: use SASL_SSL or SASL_PLAINTEXT"
        return ""

    def _ssl_fault(self) -> str:
        files = {
            "KAFKA_SSL_CAFILE": self.kafka_ssl_cafile,
            "KAFKA_SSL_CERTFILE": self.kafka_ssl_certfile,
            "KAFKA_SSL_KEYFILE": self.kafka_ssl_keyfile,
        }
        given = {name: path for name, path in files.items() if path is not None}
        protocol = self.kafka_security_protocol
        if given and not protocol.endswith("SSL"):
            return f"{min(given)} is set, but KAFKA_SECURITY_PROTOCOL is {protocol}: use SSL or SASL_SSL"
        missing = [
            f"{name}: no file {str(path)!r}" for name, path in given.items() if not path.is_file()
        ]
        if missing:
            return "; ".join(missing)
        if "KAFKA_SSL_KEYFILE" in given and "KAFKA_SSL_CERTFILE" not in given:
            return "KAFKA_SSL_KEYFILE is set without KAFKA_SSL_CERTFILE: set both"
        return self._context_fault() if protocol.endswith("SSL") else ""

    def _context_fault(self) -> str:
        try:
            self.ssl_context()
        except (ssl.SSLError, OSError) as error:
            return f"KAFKA_SSL_*: the files are not valid PEM, or do not belong together: {error}"
        return ""

    def variables(self) -> dict[str, str]:
        """Return the environment that these settings are read from."""
        found: dict[str, str] = {}
        for field in KafkaSettings.model_fields:
            value = getattr(self, field)
            plain = value.get_secret_value() if isinstance(value, SecretStr) else value
            if plain:
                found[field.upper()] = str(plain)
        return found

    @property
    def uses_sasl(self) -> bool:
        return self.kafka_security_protocol.startswith("SASL_")

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return the context that checks the brokers' certificates and names; None without TLS."""
        if not self.kafka_security_protocol.endswith("SSL"):
            return None
        context = ssl.create_default_context(cafile=self.kafka_ssl_cafile)
        if self.kafka_ssl_certfile is not None:
            context.load_cert_chain(self.kafka_ssl_certfile, self.kafka_ssl_keyfile)
        return context

    def client_options(self) -> dict[str, Any]:
        """Return the arguments of aiokafka's clients."""
        options: dict[str, Any] = {
            "security_protocol": self.kafka_security_protocol,
            "ssl_context": self.ssl_context(),
        }
        if self.uses_sasl:
            options |= {
                "sasl_mechanism": self.kafka_sasl_mechanism,
                "sasl_plain_username": self.kafka_sasl_username,
                "sasl_plain_password": self.kafka_sasl_password.get_secret_value(),
            }
        return options


class Access:
    """How this process connects to each Kafka. A user and a password are sent to their own brokers only."""

    def __init__(self) -> None:
        self._settings: dict[str, KafkaSettings] = {}

    def use(self, settings: KafkaSettings) -> None:
        """Connect to the brokers of `settings` in this way, from now on."""
        self._settings[settings.kafka_bootstrap_servers] = settings

    def of(self, servers: str) -> KafkaSettings:
        return self._settings.get(servers) or KafkaSettings(kafka_bootstrap_servers=servers)

    def options(self, servers: str) -> dict[str, Any]:
        """Return the arguments of a client of aiokafka for `servers`."""
        return {"bootstrap_servers": servers} | self.of(servers).client_options()


ACCESS = Access()
"""The access of this process; its `main` sets it."""
