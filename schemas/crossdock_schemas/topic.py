"""The declaration of a topic. All topics are in `topics`."""

from dataclasses import dataclass
from typing import Literal

from crossdock_schemas.message import Message

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

Cleanup = Literal["delete", "compact"]
COMPACTED = {
    "min.cleanable.dirty.ratio": "0.2",
    "segment.ms": str(HOUR_MS),
    "segment.bytes": str(
        32 * 2**20
    ),  # the last segment is not compacted: a restart reads all of it
}


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `partitions` None: as many as the installation has shards (CROSSDOCK_PARTITIONS)."""

    name: str
    largest: int
    """Bytes of a record at most, with key and headers, within all documented limits and in any characters. No producer
    writes more than 1,000,000."""
    key: str
    header: type[Message] | None
    """The model in the `crossdock` header; None where the value itself is the message."""
    value: str | tuple[type[Message], ...]
    """The message, or a description of the opaque bytes."""
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    cleanup: Cleanup = "delete"
    retention_ms: int | None = 7 * DAY_MS
    partitions: int | None = None
    version: int = 1

    @property
    def ce_type(self) -> str:
        """The CloudEvents type of its records, with the contract's version."""
        return f"crossdock.{self.name.replace('<provider>.<lane>', 'parcel')}.v{self.version}"

    @property
    def config(self) -> dict[str, str]:
        settings: dict[str, str] = {"cleanup.policy": self.cleanup}
        if self.cleanup == "compact":
            settings |= COMPACTED
        elif self.retention_ms is not None:
            settings |= {"retention.ms": str(self.retention_ms)}
        return settings
