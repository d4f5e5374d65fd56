"""An HTTP request of ClickHouse's interface as a statement. Pure."""

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import lz4.frame

from crossdock.kernel.process.errors import TableError

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
_VALUES = re.compile(rb"\bVALUES\b", re.IGNORECASE)
_COMMENT = re.compile(r"^(?:\s+|--[^\n]*\n|/\*.*?\*/)+", re.DOTALL)
_ROWS = frozenset(
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
        return first_word(self.sql) in _ROWS


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
            return gzip.decompress(body)
        case "lz4":
            return _unlz4(body)
        case "zstd":
            return _unzstd(body)
        case _:
            raise TableError(f"unknown Content-Encoding {encoding!r}: use gzip, lz4 or zstd")


def _unlz4(body: bytes) -> bytes:
    """Unpack every frame: the client packs each block separately, and the library's function stops at the first."""
    pieces = []
    while body:
        unpacking = lz4.frame.LZ4FrameDecompressor()
        pieces.append(unpacking.decompress(body))
        if not unpacking.eof:
            raise TableError("the last lz4 frame of the body is incomplete")
        body = unpacking.unused_data or b""
    return b"".join(pieces)


def _unzstd(body: bytes) -> bytes:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415  # Python 3.14
    except ImportError:
        from backports import zstd  # noqa: PLC0415  # installed with clickhouse-connect before 3.14
    return bytes(zstd.decompress(body))


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
    match = _INSERT_FORMAT.match(whole[:65_536])
    if match is None or _VALUES.search(match.group()):
        return whole.decode("utf-8", "surrogateescape").strip().rstrip(";"), None, ""
    head = match.group().decode()
    name = match.group(1).decode()
    return _TRAILING_FORMAT.sub("", head.strip().rstrip(";")).strip(), whole[match.end() :], name
