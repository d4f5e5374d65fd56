"""Dead letters: records that a stage could not decode, unchanged, with their origin and the reason."""

from crossdock_schemas.message import Message


class DeadLetter(Message):
    """Origin and fault of a record; its bytes are the value of the record with this header."""

    stage: str
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    """Time of its append, in unix ms."""
    at_ms: int
    """Time when the stage gave it up."""
    reason: str
    key: str | None = None
    """Base64."""
    headers: tuple[tuple[str, str], ...] = ()
    """In their order; values in base64."""
    is_tombstone: bool = False
    """The record had no value."""
    cut_bytes: int = 0
    """Bytes at its end that did not fit; the record cannot be replayed."""
    replay_of: int | None = None
    """Offset of a dead letter that was sent again; this record marks it and has no value."""
