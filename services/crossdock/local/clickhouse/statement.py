"""An HTTP request of ClickHouse's interface as a statement. Pure."""

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import lz4.frame

from crossdock.kernel.process.errors import TableError

MAX_UNPACKED_BYTES = 268_435_456
_OURS = frozenset(
    {
        "query", "database", "default_format", "user", "password", "session_id", "session_timeout", "session_check",
        "query_id", "compress", "decompress", "enable_http_compression", "http_zlib_compression_level", "role",
        "wait_end_of_query", "buffer_size", "send_progress_in_http_headers", "http_headers_progress_interval_ms",
        "client_protocol_version", "cancel_http_readonly_queries_on_client_close", "quota_key", "stacktrace",
    }
)  # fmt: skip
_TRAILING_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_INSERT_FORMAT = re.compile(
    rb"^\s*INSERT\s+INTO\s+.{1,60000}?\bFORMAT\s+(\w+)[ \t]*;?[ \t]*(?:\r?\n|$|(?=\s))",
    re.IGNORECASE | re.DOTALL,
)
_INSERT_VALUES = re.compile(
    rb"^\s*INSERT\s+INTO\s+(?:TABLE\s+)?[\w.`\"]+\s*(?:\([^()]*\)\s*)?(?:FORMAT\s+)?VALUES\b",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"^(?:\s+|--[^\n]*\n|/\*.*?\*/)+", re.DOTALL)
ROWS = frozenset(
    {"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "VALUES", "CHECK"}
)


@dataclass(frozen=True)
class Statement:
    """A statement for the engine. `data` contains rows of an INSERT in `data_format`."""

    sql: str
    output_format: str
    database: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    data: bytes | None = None
    data_format: str = ""

    @property
    def gives_rows(self) -> bool:
        return first_word(self.sql) in ROWS


def first_word(sql: str) -> str:
    text = _COMMENT.sub("", sql).lstrip("( \n\t")
    match = re.match(r"\w+", text)
    return match.group().upper() if match else ""


def decompress(body: bytes, encoding: str | None) -> bytes:
    """Decode a body by its Content-Encoding.

    Raises:
        TableError: if the encoding is unknown, or the body is incomplete.
    """
    match (encoding or "").lower():
        case "" | "identity":
            return body
        case "gzip":
            return _unpacked(body, lambda: zlib.decompressobj(zlib.MAX_WBITS | 16), "gzip")
        case "lz4":
            return _unpacked(body, lz4.frame.LZ4FrameDecompressor, "lz4")
        case "zstd":
            return _unpacked(body, _zstd().ZstdDecompressor, "zstd")
        case _:
            raise TableError(f"unknown Content-Encoding {encoding!r}: use gzip, lz4 or zstd")


def _unpacked(body: bytes, make: Callable[[], Any], name: str) -> bytes:
    """Unpack every frame: the client packs each block separately, and a decompressor stops at the end of one."""
    pieces, left = [], MAX_UNPACKED_BYTES
    while body:
        unpacking = make()
        try:
            pieces.append(unpacking.decompress(body, left + 1))
        except (zlib.error, RuntimeError, _zstd().ZstdError) as error:
            raise TableError(f"the body is not {name}: {error}") from error
        left -= len(pieces[-1])
        if left < 0:
            raise TableError(
                f"the body has more than {MAX_UNPACKED_BYTES} bytes unpacked: send it in parts"
            )
        if not unpacking.eof:
            raise TableError(f"the last {name} frame of the body is incomplete")
        body = unpacking.unused_data or b""
    return b"".join(pieces)


def _zstd() -> Any:  # a module of Python 3.14, or its backport
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415  # Python 3.14
    except ImportError:
        from backports import zstd  # noqa: PLC0415  # installed with clickhouse-connect before 3.14
    return zstd


def read_statement(
    arguments: Mapping[str, str], headers: Mapping[str, str], body: bytes
) -> Statement:
    """Join `query` and body as ClickHouse does: the query first, then the body."""
    query = arguments.get("query", "").encode()
    whole = query + (b"\n" if query and body else b"") + body
    sql, data, data_format = _split_insert(whole)
    wanted = arguments.get("default_format") or headers.get("x-clickhouse-format") or "TabSeparated"
    found = _TRAILING_FORMAT.search(sql)
    return Statement(
        sql=sql,
        output_format=found.group(1) if found else wanted,
        database=arguments.get("database") or headers.get("x-clickhouse-database"),
        params={
            k.removeprefix("param_"): v for k, v in arguments.items() if k.startswith("param_")
        },
        settings={
            k: v for k, v in arguments.items() if k not in _OURS and not k.startswith("param_")
        },
        data=data,
        data_format=data_format,
    )


def _split_insert(whole: bytes) -> tuple[str, bytes | None, str]:
    if match := _INSERT_VALUES.match(whole[:65_536]):
        head = re.sub(r"\s+(?:FORMAT\s+)?VALUES$", "", match.group().decode(), flags=re.IGNORECASE)
        return head.strip(), whole[match.end() :], "Values"
    match = _INSERT_FORMAT.match(whole[:65_536])
    if match is None:
        return _text_of(whole).strip().rstrip(";"), None, ""
    head = _text_of(match.group())
    name = match.group(1).decode()
    return _TRAILING_FORMAT.sub("", head.strip().rstrip(";")).strip(), whole[match.end() :], name


def _text_of(sql: bytes) -> str:
    try:
        return sql.decode()
    except UnicodeDecodeError:
        raise TableError("the statement is not valid UTF-8") from None
