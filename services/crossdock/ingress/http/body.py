"""Reads request bodies, within a limit for each and a limit for all together."""

from starlette.requests import Request

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
    declared = check_number(
        request.headers.get("content-length"), "content-length", default=0, lowest=0, highest=2**60
    )
    if declared > limit:
        raise errors.too_large(limit)
    chunks = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise errors.too_large(limit)
        if held is not None:
            held.add(len(chunk))
        chunks.append(chunk)
    return b"".join(chunks)
