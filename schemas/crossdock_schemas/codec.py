"""A message in a record: the envelope is in one header beside CloudEvents' binary-mode attributes."""

from collections.abc import Sequence
from typing import TypeVar

from crossdock_schemas.message import Message
from crossdock_schemas.times import utc
from crossdock_schemas.topic import Topic

M = TypeVar("M", bound=Message)

ENVELOPE = "crossdock"
Headers = Sequence[tuple[str, bytes]]


class MissingEnvelopeError(ValueError):
    """The record has no `crossdock` header: another program than Crossdock wrote it."""


def encode_headers(
    topic: Topic, source: str, identifier: str, at_ms: int, envelope: Message | None
) -> list[tuple[str, bytes]]:
    """Return the headers of a record. `source` is the stage, `identifier` the event's id; always a list (aiokafka)."""
    time = utc(at_ms).isoformat(timespec="milliseconds")
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", identifier.encode()),
        ("ce_type", topic.ce_type.encode()),
        ("ce_source", source.encode()),
        ("ce_time", time.encode()),
    ]
    if envelope is not None:
        headers.append((ENVELOPE, envelope.to_json()))
    return headers


def decode_envelope(headers: Headers, model: type[M]) -> M:
    """Return the envelope of a record.

    Raises:
        MissingEnvelopeError: if it has none.
        pydantic.ValidationError: if it is not a `model`.
    """
    for name, value in headers:
        if name == ENVELOPE:
            return model.from_json(value)
    raise MissingEnvelopeError(f"no {ENVELOPE!r} header for {model.__name__}")
