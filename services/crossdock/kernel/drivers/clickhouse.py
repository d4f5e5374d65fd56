"""The door to ClickHouse: clickhouse-connect over HTTP, the same for the server and the embedded engine."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib import resources
from typing import Any
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver import options
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import Error

from crossdock.kernel.process import metrics
from crossdock.kernel.process.errors import TableError
from crossdock.kernel.process.record import Row

DATABASE = "crossdock"
# why: else the first insert imports them, wherever another package (chdb) brought them; the loop would stand still for
# 0.5 to 3 s, for what is never used here
vars(options).update(pd=None, np=None)
_SETTINGS = {"async_insert": 0, "final": 0}  # the sink batches by itself; views say FINAL


class Tables:
    """Inserts and queries."""

    def __init__(self, client: AsyncClient, columns: Mapping[str, Sequence[str]]) -> None:
        self._client = client
        self._columns = columns

    async def insert(self, table: str, rows: Sequence[Row]) -> None:
        """Insert `rows`, given in the order of the table's declared columns.

        Raises:
            TableError: if ClickHouse refused, or does not answer; the rows may be in all the same.
        """
        try:
            summary = await self._client.insert(
                table, rows, column_names=self._columns[table], database=DATABASE
            )
        except (Error, OSError) as error:
            raise TableError(f"cannot insert into {table}: {_first_line(error)}") from error
        metrics.ROWS_INSERTED.labels(table).inc(len(rows))
        metrics.BYTES_INSERTED.labels(table).inc(summary.written_bytes())

    async def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None
    ) -> list[Sequence[Any]]:
        """Return the rows of a SELECT.

        Raises:
            TableError: if ClickHouse refused, or does not answer.
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
            TableError: if ClickHouse refused, or does not answer.
        """
        try:
            await self._client.command(sql)
        except (Error, OSError) as error:
            raise TableError(f"cannot run {sql[:60]!r}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


@asynccontextmanager
async def open_tables(
    url: str, columns: Mapping[str, Sequence[str]] | None = None
) -> AsyncIterator[Tables]:
    """Connect to the ClickHouse at `url` (http://user:password@host:port/).

    Raises:
        TableError: if nothing there answers as ClickHouse does.
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
    """Run every migration of `crossdock_schemas.sql` that has not run yet, in order; return their names.

    Each file is written so that it may run twice: ClickHouse has no transactions over DDL, and a crash may come between
    a statement and its entry here.

    Raises:
        TableError: if ClickHouse refused one.
    """
    await tables.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
    await tables.command(
        f"CREATE TABLE IF NOT EXISTS {DATABASE}.migrations (name String, at DateTime64(3) DEFAULT now64(3)) "
        "ENGINE = MergeTree ORDER BY name"
    )
    done = {row[0] for row in await tables.query(f"SELECT name FROM {DATABASE}.migrations")}  # noqa: S608  # a constant
    ran = []
    for name, statements in migrations():
        if name in done:
            continue
        for statement in statements:
            await tables.command(statement)
        await tables.command(f"INSERT INTO {DATABASE}.migrations (name) VALUES ('{name}')")  # noqa: S608  # our own file's name
        ran.append(name)
    return ran


def migrations() -> list[tuple[str, list[str]]]:
    """Return name and statements of each migration, in order."""
    folder = resources.files("crossdock_schemas") / "sql"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return [(f.name.removesuffix(".sql"), split_statements(f.read_text())) for f in files]


def split_statements(text: str) -> list[str]:
    """Return the statements of a migration: they end with a semicolon at a line's end; comment lines are dropped."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    found = [part.strip().rstrip(";") for part in "\n".join(lines).split(";\n")]
    return [statement for statement in found if statement]
