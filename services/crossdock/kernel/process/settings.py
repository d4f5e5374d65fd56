"""Settings: a frozen object read from the environment. Every fault is reported at once, and a typo is an error."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from crossdock.kernel.process.errors import SettingsError
from crossdock.kernel.process.kafka_settings import KafkaSettings
from crossdock.kernel.process.timing import Timing

SHARED = "CROSSDOCK_"
MAX_S = 86_400.0  # a day: no time of a process is longer, and clocks and timers take it
_FOREIGN = {field: field.upper() for field in KafkaSettings.model_fields} | {
    "clickhouse_url": "CLICKHOUSE_URL",
    "master_key": "CROSSDOCK_MASTER_KEY",
    "master_key_file": "CROSSDOCK_MASTER_KEY_FILE",
}


class Settings(KafkaSettings):
    """Settings of every process. A stage adds its own fields, read under its own prefix."""

    clickhouse_url: str = "http://127.0.0.1:8123"
    """ClickHouse's HTTP interface, http://user:password@host:port."""
    objects_url: str = ""
    """URL of the object store: file:///folder, s3://bucket/prefix, gs://, az://. Credentials: as its own tools."""
    catalogue: Path | None = None
    """File with every provider, model and price, as JSON."""
    ordinal: int = Field(default=0, ge=0)
    """Number of this process in its stage, from 0. A process that restarts with it takes its partitions back."""
    ops_port: int = Field(default=0, ge=0, le=65535)
    """Port on 127.0.0.1 for /metrics, /live, /ready and /status; 0 takes a free one."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""
    partitions: int = Field(default=2, ge=1)
    """Partitions of each topic when it is created; never changed later, because keys would move."""
    drain_s: float = Field(default=20.0, gt=0, le=MAX_S)
    """Limit of an orderly stop, in seconds."""
    broker_wait_s: float = Field(default=60.0, gt=0, le=MAX_S)
    """A stage that starts before Kafka waits this long for it, in seconds."""
    session_timeout_s: float = Field(default=10.0, ge=1, le=900)
    """Kafka gives a silent process's partitions to others after this time, in seconds; brokers allow 6 or more."""
    transaction_timeout_s: float = Field(default=10.0, ge=1, le=900)
    """Kafka aborts the transaction of a dead process after this time, in seconds; its readers wait until then."""
    lease_s: float = Field(default=20.0, ge=1, le=900)
    """Other workers take over the calls of a silent worker after this time and a quarter of it, in seconds."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str], *, prefix: str = SHARED) -> Self:
        """Read the fields from `<prefix><FIELD>`, or, for the shared ones, from `CROSSDOCK_<FIELD>`.

        Raises:
            SettingsError: naming every unknown, missing or impossible setting.
        """
        found: dict[str, str] = {}
        for field in cls.model_fields:
            value = environ.get(f"{prefix}{field.upper()}") or environ.get(name_of(field, SHARED))
            if value:
                found[field] = value
        unknown = [f"{name}: no such setting" for name in sorted(cls._unknown(environ, prefix))]
        try:
            settings = cls.model_validate(found)
        except ValidationError as error:
            faults = [_fault(prefix, detail) for detail in error.errors()]
            raise SettingsError("; ".join(faults + unknown)) from None
        if unknown:
            raise SettingsError("; ".join(unknown))
        return settings

    @classmethod
    def _unknown(cls, environ: Mapping[str, str], prefix: str) -> list[str]:
        """Return the names under the stage's prefix that are not fields; names of other stages are ignored."""
        known = {f"{prefix}{field.upper()}" for field in cls.model_fields}
        if prefix == SHARED:
            return []
        return [name for name in environ if name.startswith(prefix) and name not in known]

    @property
    def timing(self) -> Timing:
        """How long a silent process keeps what it owns."""
        return Timing(
            session_ms=round(self.session_timeout_s * 1000),
            transaction_ms=round(self.transaction_timeout_s * 1000),
            lease_ms=round(self.lease_s * 1000),
        )

    @property
    def instance(self) -> str:
        """The ordinal as a text, for static membership."""
        return str(self.ordinal)


def read_kafka(environ: Mapping[str, str]) -> KafkaSettings:
    """Return how to connect to the Kafka of `environ`.

    Raises:
        SettingsError: naming every impossible setting.
    """
    names = {field: environ.get(field.upper()) for field in KafkaSettings.model_fields}
    try:
        return KafkaSettings.model_validate({field: text for field, text in names.items() if text})
    except ValidationError as error:
        raise SettingsError("; ".join(_fault(SHARED, e) for e in error.errors())) from None


def name_of(field: str, prefix: str) -> str:
    """Return the variable that `field` is read from."""
    return _FOREIGN.get(field, prefix + field.upper())


def _fault(prefix: str, detail: ErrorDetails) -> str:
    if not detail["loc"]:
        return detail["msg"]
    return f"{name_of(str(detail['loc'][0]), prefix)}: {detail['msg']}"
