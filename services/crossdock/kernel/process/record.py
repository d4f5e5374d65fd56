"""A record that was read, a record to send, a page of state, and a step of both."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MAX_RECORD_BYTES = 1_000_000
"""Bytes of key, value and headers of a record that is written: below Kafka's message.max.bytes (1 MiB), which counts
the framing too."""
Row = Sequence[Any]
"""One row of a table: its values, in the order of the table's columns."""


def _size(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> int:
    size = len(key or b"") + len(value or b"")
    for name, content in headers:
        size += len(name) + len(content)
    return size


class Record(NamedTuple):
    """One record of a partition. `value` is None for a tombstone."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]

    @property
    def place(self) -> tuple[str, int]:
        return (self.topic, self.partition)

    @property
    def size(self) -> int:
        return _size(self.key, self.value, self.headers)


class Outgoing(NamedTuple):
    """One record to send. Without `partition` its `key` chooses one."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    partition: int | None = None

    @property
    def size(self) -> int:
        return _size(self.key, self.value, self.headers)

    @property
    def is_too_large(self) -> bool:
        """Whether no producer writes it."""
        return self.size > MAX_RECORD_BYTES


def partition_for(key: bytes | None, count: int) -> int:
    """Return the partition of `key` among `count`. CRC-32: aiokafka's murmur2 is pure Python, 6 us a key."""
    return zlib.crc32(key or b"") % count


class Page(NamedTuple):
    """A piece of state under a key; `value` None removes it."""

    key: bytes
    value: bytes | None


@dataclass
class Step:
    """The outcome of one step of an application: records and pages become visible together."""

    outgoing: list[Outgoing] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Return whether there is any outcome."""
        return bool(self.outgoing or self.pages)
