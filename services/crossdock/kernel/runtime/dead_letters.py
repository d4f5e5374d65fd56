"""Dead letters: a record that a stage cannot handle is kept with its bytes, its origin and the reason.

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
PART_BYTES = 900_000  # of a dead letter that does not fit into one record
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


def make_dead_letter(
    stage: str, record: Record, reason: str, now_ms: int, *, is_answered: bool = False
) -> list[Outgoing]:
    """Return the dead letter of `record`, in several records if one does not take it."""
    value = record.value or b""
    letter = DeadLetter(
        stage=stage,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp_ms,
        at_ms=now_ms,
        reason=reason.encode("utf-8", "replace").decode()[:MAX_REASON],
        key=None if record.key is None else b64encode(record.key).decode(),
        headers=tuple((name, b64encode(each or b"").decode()) for name, each in record.headers),
        is_tombstone=record.value is None,
        is_answered=is_answered,
    )
    whole = _sent(letter, value)
    return _in_parts(letter, value) if whole.is_too_large else [whole]


def _in_parts(letter: DeadLetter, value: bytes) -> list[Outgoing]:
    content = letter.to_json() + b"\n" + value
    starts = range(0, len(content), PART_BYTES)
    bare = letter.model_copy(update={"key": None, "headers": (), "parts": len(starts)})
    return [
        _sent(bare.model_copy(update={"part": part}), content[start : start + PART_BYTES])
        for part, start in enumerate(starts)
    ]


def _sent(letter: DeadLetter, value: bytes) -> Outgoing:
    origin = f"{letter.topic}/{letter.partition}/{letter.offset}"
    source = f"crossdock/{letter.stage}"
    headers = encode_headers(DEAD_LETTERS, source, origin, letter.at_ms, letter)
    return Outgoing(DEAD_LETTERS.name, origin.encode(), value, headers)


class DeadLetters:
    """The dead letters of one stage. The caller publishes them before the record counts as done."""

    def __init__(self, stage: str, clock: Clock) -> None:
        self._stage = stage
        self._clock = clock
        self._limit = DeadLetterLimit()

    def good(self) -> None:
        """Count a record that could be read."""
        self._limit.good()

    def set_aside(
        self, record: Record, error: BaseException, *, is_answered: bool = False
    ) -> list[Outgoing]:
        """Return the dead letter of a record that could be read, but not handled.

        `is_answered`: its requests end with an error. Such records count for no limit, as a caller may cause them.
        """
        reason = f"{type(error).__name__}: {error}"
        metrics.DEAD_LETTERS.labels(record.topic).inc()
        log.error(
            "record.set_aside",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            key=f"{record.key!r:.100}",
            bytes=record.size,
            reason=reason[:200],
            exc_info=error,
        )
        now_ms = self._clock.now_ms()
        return make_dead_letter(self._stage, record, reason, now_ms, is_answered=is_answered)

    def take(self, record: Record, reason: str) -> list[Outgoing]:
        """Return the dead letter of a record that cannot be read.

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
