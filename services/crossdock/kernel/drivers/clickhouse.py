"""The door to ClickHouse: clickhouse-connect over HTTP, the same for the server and the embedded engine."""

import hashlib
import re
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from graphlib import TopologicalSorter
from importlib import resources
from typing import Any
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver import options
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import DataError, Error

from crossdock.kernel.process import metrics
from crossdock.kernel.process.errors import RowsRefusedError, TableError
from crossdock.kernel.process.record import Row

DATABASE = "crossdock"
# why: otherwise the first insert imports them where another package (chdb) installed them, and blocks the loop for
# 0.5 to 3 s; Crossdock does not use them
vars(options).update(pd=None, np=None)
_SETTINGS = {"async_insert": 0, "final": 0}  # the sink makes the batches; views contain FINAL


class Tables:
    """Inserts and queries."""

    def __init__(self, client: AsyncClient, columns: Mapping[str, Sequence[str]]) -> None:
        self._client = client
        self._columns = columns

    async def insert(self, table: str, rows: Sequence[Row]) -> None:
        """Insert `rows`, given in the order of the table's declared columns.

        Raises:
            RowsRefusedError: if a value does not fit its column.
            TableError: if ClickHouse refused or does not answer; the rows may be in the table anyway.
        """
        try:
            summary = await self._client.insert(
                table, rows, column_names=self._columns[table], database=DATABASE
            )
        except (DataError, *_UNFIT) as error:
            raise RowsRefusedError(f"cannot insert into {table}: {_first_line(error)}") from error
        except (Error, OSError) as error:
            kind = RowsRefusedError if _code_of(error) in _ROW_CODES else TableError
            raise kind(f"cannot insert into {table}: {_first_line(error)}") from error
        metrics.ROWS_INSERTED.labels(table).inc(len(rows))
        metrics.BYTES_INSERTED.labels(table).inc(summary.written_bytes())

    async def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None
    ) -> list[Sequence[Any]]:
        """Return the rows of a SELECT.

        Raises:
            TableError: if ClickHouse refused or does not answer.
        """
        try:
            return list(
                (await self._client.query(sql, parameters=dict(parameters or {}))).result_rows
            )
        except (Error, OSError) as error:
            raise TableError(f"cannot query: {_first_line(error)}") from error

    async def command(self, sql: str) -> None:
        """Run a statement without rows.

        Raises:
            TableError: if ClickHouse refused or does not answer.
        """
        try:
            await self._client.command(sql)
        except (Error, OSError) as error:
            raise TableError(f"cannot run {sql[:60]!r}: {_first_line(error)}") from error


_UNFIT = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, struct.error)
"""Errors of clickhouse-connect for a value that it cannot encode for its column."""
_ROW_CODES = frozenset({6, 27, 38, 41, 53, 69, 70, 72, 117, 131, 321, 349, 407, 469})
"""ClickHouse's codes for a value that cannot be parsed or converted, is out of range, or breaks a constraint."""
_CODE = re.compile(r"[Cc]ode: (\d+)")


def _code_of(error: BaseException) -> int | None:
    found = _CODE.search(str(error))
    return int(found[1]) if found else None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


@asynccontextmanager
async def open_tables(
    url: str, columns: Mapping[str, Sequence[str]] | None = None
) -> AsyncIterator[Tables]:
    """Connect to the ClickHouse at `url` (http://user:password@host:port/).

    Raises:
        TableError: if no ClickHouse answers.
    """
    parts = urlsplit(url)
    try:
        client = await clickhouse_connect.get_async_client(
            host=parts.hostname or "127.0.0.1",
            port=parts.port or (8443 if parts.scheme == "https" else 8123),
            secure=parts.scheme == "https",
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else "",
            settings=_SETTINGS,
            autogenerate_session_id=False,
        )
    except (Error, OSError) as error:
        raise TableError(
            f"no ClickHouse answers at {parts.hostname}:{parts.port}: {_first_line(error)}; check CLICKHOUSE_URL"
        ) from error
    try:
        yield Tables(client, columns or {})
    finally:
        await client.close()


async def migrate(tables: Tables) -> list[str]:
    """Run the table migrations that have not run yet, then create the views that changed; return the names of both.

    The table `migrations` holds what ran: `0005_holds` for a migration, `budget_use 3f2a...` for a view and its digest,
    where the newest row of a view counts. Each file may run twice: ClickHouse has no transactions over DDL, and a crash
    may come between a statement and its row here.

    Raises:
        TableError: if ClickHouse refused a statement.
    """
    await tables.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
    await tables.command(
        f"CREATE TABLE IF NOT EXISTS {DATABASE}.migrations (name String, at DateTime64(3) DEFAULT now64(3)) "
        "ENGINE = MergeTree ORDER BY name"
    )
    done = {row[0] for row in await tables.query(_APPLIED)}
    waiting = [step for step in (*migrations(), *views()) if step[0] not in done]
    for name, statements in waiting:
        for statement in statements:
            await tables.command(statement)
        await tables.command(f"INSERT INTO {DATABASE}.migrations (name) VALUES ('{name}')")  # noqa: S608  # our own file's name
    return [name for name, _ in waiting]


_APPLIED = f"SELECT argMax(name, at) FROM {DATABASE}.migrations GROUP BY splitByChar(' ', name)[1]"  # noqa: S608  # a constant


def migrations() -> list[tuple[str, list[str]]]:
    """Return name and statements of each migration of the tables, in order."""
    return [(name, split_statements(text)) for name, text in read_sql("tables").items()]


def views() -> list[tuple[str, list[str]]]:
    """Return name with digest and statements of each view, each after those that it reads."""
    return order_views(read_sql("views"))


def order_views(texts: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """The digest of a view covers the views that it reads: ClickHouse keeps the types of its columns as they were."""
    sources = {
        name: sorted({*_SOURCE.findall(text)} & texts.keys() - {name})
        for name, text in texts.items()
    }
    digests: dict[str, str] = {}
    for name in TopologicalSorter(sources).static_order():
        parts = [texts[name], *(digests[source] for source in sources[name])]
        digests[name] = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return [(f"{name} {digest}", split_statements(texts[name])) for name, digest in digests.items()]


_SOURCE = re.compile(rf"\b{DATABASE}\.(\w+)")


def read_sql(folder: str) -> dict[str, str]:
    """Return the files of a folder of `crossdock_schemas.sql` by name, in order."""
    files = (resources.files("crossdock_schemas") / "sql" / folder).iterdir()
    texts = {f.name.removesuffix(".sql"): f.read_text() for f in files if f.name.endswith(".sql")}
    return dict(sorted(texts.items()))


def split_statements(text: str) -> list[str]:
    """Return the statements of a file: they end with a semicolon at a line's end; comment lines are dropped."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    found = [part.strip().rstrip(";") for part in "\n".join(lines).split(";\n")]
    return [statement for statement in found if statement]
