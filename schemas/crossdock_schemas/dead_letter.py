"""Dead letters: records that a stage could not handle, unchanged, with their origin and the reason."""

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
    """Bytes at its end that were left out by an older version; the record cannot be replayed."""
    part: int = 0
    """0-based; the values of all parts together are this message, with key and headers, a line break, and the value."""
    parts: int = 1
    """Records that hold it; a record that does not fit beside its origin and its reason is in several."""
    is_answered: bool = False
    """Its requests have ended with an error; a replay would run them again, and no caller would get the answers."""
    replay_of: int | None = None
    """Offset of a dead letter that was sent again; this record marks it and has no value."""
