"""Dead letters: records that a stage could not read, kept as they were, with where they lay and why they are here."""

from crossdock_schemas.message import Message


class DeadLetter(Message):
    """Where a record lay and what was wrong with it; its bytes are the value of the record that carries this."""

    stage: str
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    """When it was appended there, in unix ms."""
    at_ms: int
    """When it was given up."""
    reason: str
    key: str | None = None
    """Base64."""
    headers: tuple[tuple[str, str], ...] = ()
    """In their order; values in base64."""
    is_tombstone: bool = False
    """It had no value at all."""
    cut_bytes: int = 0
    """Bytes at its end that did not fit; such a record cannot be replayed."""
    replay_of: int | None = None
    """This is no dead letter, but says of the one at that offset that it was sent again; it has no value."""
