"""Reads request bodies, within a limit for each and a limit for all together."""

from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from crossdock.ingress.http.backpressure import HeldBytes
from crossdock.ingress.values import errors
from crossdock.ingress.values.checks import check_number

CONTROL_BYTES = 1024**2  # bodies of commands, such as the creation of a batch


async def read_body(request: Request, limit: int, held: HeldBytes | None = None) -> bytes:
    """Return the body.

    Raises:
        RefusedError: 413 if it exceeds `limit` bytes, 429 if all bodies together hold too much.
        ClientDisconnect: if the caller is gone.
    """
    if declared_bytes(request) > limit:
        raise errors.too_large(limit)
    body = bytearray()  # why not a list: a chunk may be one byte, and an object for it takes fifty
    has_more = True
    while has_more:
        has_more = _take(await request.receive(), body, limit, held)
    return bytes(body)


def _take(message: Message, body: bytearray, limit: int, held: HeldBytes | None) -> bool:
    """Add a chunk to `body`; return whether there are more. `Request.stream` would keep each chunk until the next."""
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    chunk = message.get("body", b"")
    if len(body) + len(chunk) > limit:
        raise errors.too_large(limit)
    if held is not None:
        held.add(len(chunk))
    body += chunk
    return bool(message.get("more_body", False))


def declared_bytes(request: Request) -> int:
    """Return the length that the headers declare; 0 if they declare none."""
    given = request.headers.get("content-length")
    return check_number(given, "content-length", default=0, lowest=0, highest=2**60)
