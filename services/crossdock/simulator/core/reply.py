"""Replies: bytes, times and the end of the connection. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Ending = Literal["keep", "close", "reset", "hang"]
UNLISTED = -1

_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    529: "Site Overloaded",
}
LAST_CHUNK = b"0\r\n\r\n"


@dataclass(slots=True)
class Reply:
    """`first`, then the pieces of `rest`, each `gap_s` after the one before, then the ending."""

    delay_s: float
    first: bytes
    rest: Iterator[bytes] | None = None
    ending: Ending = "keep"
    """keep the connection, close it, reset it, or hang: send nothing until the client hangs up."""
    gap_s: float = 0.0
    is_whole: bool = True
    """Whether the client can get the complete answer."""
    entry: int = UNLISTED
    """Number in the ledger."""


def head(
    status: int,
    length: int | None,
    extra: Mapping[str, str] | None = None,
    *,
    kind: str = "application/json",
) -> bytes:
    """Return status line and headers; no `length` means chunks."""
    size = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    lines = "".join([f"{name}: {value}\r\n" for name, value in extra.items()]) if extra else ""
    return (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: {kind}\r\n{size}\r\n{lines}\r\n"
    ).encode("latin-1")


def plain(
    status: int,
    body: bytes,
    extra: Mapping[str, str] | None = None,
    *,
    delay_s: float = 0.0,
    kind: str = "application/json",
) -> Reply:
    """Return a reply with `body`, its length declared."""
    return Reply(delay_s, head(status, len(body), extra, kind=kind) + body)


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def chunked(pieces: Iterable[bytes], extra: Mapping[str, str] | None = None, *, kind: str) -> Reply:
    """Return a 200 of unknown length; `pieces` are taken as the client reads."""

    def framed() -> Iterator[bytes]:
        for piece in pieces:
            yield chunk(piece)
        yield LAST_CHUNK

    return Reply(0.0, head(200, None, extra, kind=kind), framed())
