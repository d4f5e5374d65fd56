"""The engine: chdb with a few connections on one data directory, each in its own thread, because chdb blocks."""

import re
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from crossdock.kernel.process.errors import ProcessError, TableError
from crossdock.local.clickhouse.statement import Statement

CONNECTIONS = 4  # queries at the same time; others wait
_NAME = re.compile(r"^\w+$")
_CODE = re.compile(r"Code: (\d+)")
_STATUS = {60: 404, 81: 404, 47: 404, 46: 404, 62: 400, 36: 400, 53: 400, 115: 404, 516: 403}


class EngineError(TableError):
    """The engine refused a statement. `number` is ClickHouse's error code, `status` the HTTP status for it."""

    code = "engine"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        found = _CODE.search(message)
        self.number = int(found.group(1)) if found else 1002
        self.status = _STATUS.get(self.number, 500)


class Engine:
    """Runs statements on the data in `folder`."""

    def __init__(self, folder: Path) -> None:
        try:
            import chdb  # noqa: PLC0415  # an optional extra
        except ImportError as error:
            raise ProcessError(
                "chdb is not installed: pip install 'crossdock[local]', or set CLICKHOUSE_URL"
            ) from error
        self._chdb: Any = chdb  # untyped in part
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._scratch = folder.parent / f"{folder.name}-inserts"
        self._scratch.mkdir(exist_ok=True)
        for left in self._scratch.iterdir():
            left.unlink()  # left by an insert that a crash interrupted
        self._local = threading.local()
        self.threads = ThreadPoolExecutor(CONNECTIONS, "engine")

    def _connection(self) -> Any:  # chdb's connection has no public type
        if not hasattr(self._local, "connection"):
            self._local.connection = self._chdb.connect(str(self._folder))
            self._local.database = "default"
        return self._local.connection

    def run(self, statement: Statement) -> bytes:
        """Return the result in the statement's output format; call it in one of `threads`.

        Raises:
            EngineError: if the engine refused.
        """
        connection = self._connection()
        try:
            self._use(connection, statement.database or "default")
            if statement.data is not None:
                return self._insert(connection, statement, statement.data)
            sql = statement.sql + _settings_clause(statement)
            result = connection.query(sql, statement.output_format, params=dict(statement.params))
            return bytes(result.bytes() or b"")
        except RuntimeError as error:
            raise EngineError(str(error).strip()) from error

    def _use(self, connection: Any, database: str) -> None:
        if database != self._local.database:
            connection.query(f"USE `{database.replace('`', '')}`", "TabSeparated")
            self._local.database = database

    def _insert(self, connection: Any, statement: Statement, data: bytes) -> bytes:
        """Insert through a file, which the engine reads in native code."""
        if not data.strip():
            return b""
        with tempfile.NamedTemporaryFile(dir=self._scratch) as file:
            file.write(data)
            file.flush()
            name = file.name.replace("'", "\\'")
            clause = _settings(statement)
            sql = f"{statement.sql} FROM INFILE '{name}'{clause} FORMAT {statement.data_format}"
            connection.query(sql, "TabSeparated")
        return b""

    def close(self) -> None:
        self.threads.shutdown(wait=True, cancel_futures=True)


def _settings(statement: Statement) -> str:
    pairs = [
        f"{name} = '{value.replace(chr(39), '')}'"
        for name, value in statement.settings.items()
        if _NAME.match(name)
    ]
    return f" SETTINGS {', '.join(pairs)}" if pairs else ""


def _settings_clause(statement: Statement) -> str:
    """Return the settings of a SELECT without a format or settings of its own; the engine accepts none for others."""
    is_plain = statement.gives_rows and not re.search(
        r"\b(SETTINGS|FORMAT)\b", statement.sql, re.IGNORECASE
    )
    word = statement.sql.lstrip("( \n\t")[:6].upper()
    return "\n" + _settings(statement) if is_plain and word == "SELECT" else ""
