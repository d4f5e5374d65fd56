"""Reads a multipart body as it arrives: keeps the fields, and streams the file into an object. Flat memory."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from crossdock.ingress.values import errors
from crossdock.ingress.values.errors import RefusedError
from crossdock.kernel.drivers.object_store import Objects, Writer

MAX_FIELDS_BYTES = 65_536  # all fields beside the file, together
KEPT_NAME = 65_536  # characters of a file's name; the form's model has the limit


@dataclass(slots=True)
class Piece:
    """One event of the parser: the beginning of a part (with its names), or some of its bytes."""

    name: str = ""
    filename: str | None = None
    data: bytes | None = None


@dataclass
class Form:
    """A form that was received. `size` is the file's; `filename` is None if there was no file."""

    fields: dict[str, str] = field(default_factory=dict)
    filename: str | None = None
    size: int = 0


class PartsParser:
    """Turns bytes into pieces, with the push parser's callbacks."""

    def __init__(self, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise _malformed("expected multipart/form-data with a boundary")
        self._pieces: list[Piece] = []
        self._name = b""
        self._value = b""
        self._disposition = b""
        self._parser = _parser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._data,
                "on_end": self._end,
            },
        )
        self.is_complete = False

    def feed(self, chunk: bytes) -> list[Piece]:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _malformed(str(error)) from None
        pieces, self._pieces = self._pieces, []
        return pieces

    def _begin(self) -> None:
        self._name = self._value = self._disposition = b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name = self._value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        filename = options.get(b"filename")
        self._pieces.append(
            Piece(
                name=options.get(b"name", b"").decode(errors="replace"),
                filename=None
                if filename is None
                else filename.decode(errors="replace")[:KEPT_NAME],
            )
        )

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(Piece(data=data[start:end]))

    def _end(self) -> None:
        self.is_complete = True


def _parser(boundary: bytes, callbacks: Any) -> MultipartParser:
    try:
        return MultipartParser(boundary, callbacks)
    except FormParserError as error:  # a boundary that is too long
        raise _malformed(str(error)) from None


class Receiver:
    """Stores the pieces: the part named `file_part` is the file, every other one is a field."""

    def __init__(self, file_part: str, limit: int) -> None:
        self.form = Form()
        self._file_part = file_part
        self._limit = limit
        self._fields: dict[str, bytearray] = {}
        self._fields_bytes = 0
        self._into: bytearray | Literal["file"] | None = None

    async def take(self, piece: Piece, writer: Writer) -> None:
        if piece.data is None:
            self._open(piece)
        elif self._into == "file":
            self.form.size += len(piece.data)
            if self.form.size > self._limit:
                raise errors.too_large(self._limit, self._file_part)
            await writer.write(piece.data)
        elif self._into is not None:
            self._keep(self._into, piece.data)

    def _open(self, piece: Piece) -> None:
        if piece.name == self._file_part:
            if self.form.filename is not None:
                raise _malformed(f"'{self._file_part}' was given twice")
            self.form.filename = piece.filename or self._file_part
            self._into = "file"
        else:
            self._into = self._fields[piece.name] = bytearray()
            self._keep(self._into, piece.name.encode(), is_name=True)

    def _keep(self, into: bytearray, data: bytes, *, is_name: bool = False) -> None:
        self._fields_bytes += len(data)
        if self._fields_bytes > MAX_FIELDS_BYTES:
            raise errors.too_large(MAX_FIELDS_BYTES)
        if not is_name:
            into += data

    def finish(self) -> Form:
        self.form.fields = {
            name: value.decode(errors="replace") for name, value in self._fields.items()
        }
        return self.form


async def receive_form(
    chunks: AsyncIterator[bytes],
    content_type: str,
    objects: Objects,
    path: str,
    *,
    file_part: str,
    limit: int,
) -> Form:
    """Write the part `file_part` to `path` and return the form; on a fault nothing is left at `path`.

    Raises:
        RefusedError: 400 if the body is not such a form, 413 if the file exceeds `limit` bytes.
        StoreError: if the store refused.
    """
    parser = PartsParser(content_type)
    receiver = Receiver(file_part, limit)
    async with objects.writer(path) as writer:
        async for chunk in chunks:
            for piece in parser.feed(chunk):
                await receiver.take(piece, writer)
        if not parser.is_complete:
            raise _malformed("the body ends before its last boundary")
        if receiver.form.filename is None:
            raise errors.missing(file_part)
    return receiver.finish()


def _malformed(detail: str) -> RefusedError:
    return RefusedError(400, f"We could not parse the form of your request: {detail}")
