"""Dead letters: a record that cannot be read is kept with its bytes, its origin and the reason.

A process that can read nearly no record stops instead: either the process or the writer is wrong, and an operator must
look before a whole topic goes to the dead letters.
"""

from base64 import b64encode
from collections import deque

import structlog

from crossdock.kernel.process import metrics
from crossdock.kernel.process.clock import Clock
from crossdock.kernel.process.errors import TooManyDeadLettersError
from crossdock.kernel.process.record import Outgoing, Record
from crossdock_schemas.codec import encode_headers
from crossdock_schemas.dead_letter import DeadLetter
from crossdock_schemas.topics import DEAD_LETTERS

log: structlog.stdlib.BoundLogger = structlog.get_logger()

WINDOW = 100  # last records that count
LEAST = 50  # bad records in the window before the limit applies, so a few at the start stop nothing
SHARE = 0.9
MAX_VALUE_BYTES = 900_000  # a topic takes 1 MiB; key, headers and reason need the rest
MAX_REASON = 500  # characters


class DeadLetterLimit:
    """Counts bad records among the last `WINDOW`. Pure."""

    def __init__(self) -> None:
        self._was_bad: deque[bool] = deque(maxlen=WINDOW)

    def good(self) -> None:
        self._was_bad.append(False)

    def bad(self) -> None:
        self._was_bad.append(True)

    @property
    def is_passed(self) -> bool:
        bad = sum(self._was_bad)
        return bad >= LEAST and bad >= SHARE * len(self._was_bad)


def make_dead_letter(stage: str, record: Record, reason: str, now_ms: int) -> Outgoing:
    """Return the dead letter of `record`."""
    value = record.value or b""
    letter = DeadLetter(
        stage=stage,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp_ms,
        at_ms=now_ms,
        reason=reason[:MAX_REASON],
        key=None if record.key is None else b64encode(record.key).decode(),
        headers=tuple((name, b64encode(each or b"").decode()) for name, each in record.headers),
        is_tombstone=record.value is None,
        cut_bytes=max(0, len(value) - MAX_VALUE_BYTES),
    )
    origin = f"{record.topic}/{record.partition}/{record.offset}"
    headers = encode_headers(DEAD_LETTERS, f"crossdock/{stage}", origin, now_ms, letter)
    return Outgoing(DEAD_LETTERS.name, origin.encode(), value[:MAX_VALUE_BYTES], headers)


class DeadLetters:
    """The dead letters of one stage. The caller of `take` publishes its result before the record counts as done."""

    def __init__(self, stage: str, clock: Clock) -> None:
        self._stage = stage
        self._clock = clock
        self._limit = DeadLetterLimit()

    def good(self) -> None:
        """Count a record that could be read."""
        self._limit.good()

    def take(self, record: Record, reason: str) -> Outgoing:
        """Return the dead letter of `record`.

        Raises:
            TooManyDeadLettersError: if nearly no record can be read.
        """
        metrics.DEAD_LETTERS.labels(record.topic).inc()
        log.error(
            "record.undecodable",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=reason[:200],
        )
        self._limit.bad()
        if self._limit.is_passed:
            raise TooManyDeadLettersError(record.topic, record.partition, record.offset, reason)
        return make_dead_letter(self._stage, record, reason, self._clock.now_ms())


def pass_over(record: Record, error: Exception) -> None:
    """Count and log a record that a view cannot read. It stays in its topic, so no dead letter is needed."""
    metrics.DEAD_LETTERS.labels(record.topic).inc()
    log.warning(
        "record.passed_over",
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        reason=str(error)[:200],
    )
