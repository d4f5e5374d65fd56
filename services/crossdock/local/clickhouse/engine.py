"""The engine: chdb with a few connections on one data directory, each in its own thread, because chdb blocks."""

import re
import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from crossdock.kernel.process.errors import ProcessError, TableError
from crossdock.local.clickhouse.access import DeniedError, users_xml
from crossdock.local.clickhouse.statement import Statement
from crossdock.local.clickhouse.statement_check import check_statement

CONNECTIONS = 4  # queries at the same time; others wait
_NAME = re.compile(r"^\w+$")
_VALUE = re.compile(r"^[\w.,:+/ -]*$")
_CODE = re.compile(r"Code: (\d+)")
_STATUS = {60: 404, 81: 404, 47: 404, 46: 404, 62: 400, 36: 400, 53: 400, 115: 404, 516: 403, 497: 403, 164: 403}  # fmt: skip
_SCOPE = re.compile(r"\.?: In scope SELECT formatQuerySingleLine\(.*\)\. (?=\()", re.DOTALL)
_INLINE_ROWS = re.compile(r" FORMAT `?(\w+)`?$")


class EngineError(TableError):
    """The engine refused a statement. `number` is ClickHouse's error code, `status` the HTTP status for it."""

    code = "engine"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        found = _CODE.search(message)
        self.number = int(found.group(1)) if found else 1002
        self.status = _STATUS.get(self.number, 500)


class Engine:
    """Runs statements on the data in `folder`, each with the rights of a user.

    `folder` is relative: chdb reads the path as a part of an address.
    """

    def __init__(self, folder: Path) -> None:
        try:
            import chdb  # noqa: PLC0415  # an optional extra
        except ImportError as error:
            raise ProcessError(
                "chdb is not installed: pip install 'crossdock[local]', or set CLICKHOUSE_URL"
            ) from error
        self._chdb: Any = chdb  # untyped in part
        self._address = f"{folder}?config-file={folder}-access/config.xml"
        self._scratch = Path(f"{folder}-inserts")
        self._local = threading.local()
        self.threads = ThreadPoolExecutor(CONNECTIONS, "engine")

    def _connection(self) -> Any:  # chdb's connection has no public type
        if not hasattr(self._local, "connection"):
            self._local.connection = self._chdb.connect(self._address)
            self._local.state = ("", "")
        return self._local.connection

    def run(self, statement: Statement, user: str, *, may_write: bool = True) -> bytes:
        """Return the result in the statement's output format; call it in one of `threads`.

        Raises:
            EngineError: if the engine refused.
            DeniedError: if the statement may not run.
        """
        connection = self._connection()
        try:
            self._enter(connection, user, statement.database or "default")
            if statement.data is not None:
                return self._insert(connection, statement, statement.data, may_write=may_write)
            sql = _plain(connection, statement.sql + _settings_clause(statement))
            check_statement(sql, may_write=may_write)
            if sql.startswith("INSERT ") and (rows := _INLINE_ROWS.search(sql)):
                raise DeniedError(
                    f"the rows of the INSERT were not found: begin them on a line after FORMAT {rows.group(1)}",
                    number=62,
                    status=400,
                )
            result = connection.query(sql, statement.output_format, params=dict(statement.params))
            return bytes(result.bytes() or b"")
        except RuntimeError as error:
            raise EngineError(str(error).strip()) from error

    def _enter(self, connection: Any, user: str, database: str) -> None:
        """Take the rights of `user`. The database is set with all rights, because USE asks for one."""
        if self._local.state != (user, database):
            self._local.state = ("", "")
            connection.query("SET ROLE DEFAULT", "TabSeparated")
            connection.query(f"USE `{_quoted(database, '`')}`", "TabSeparated")
            connection.query(f"SET ROLE `{user}`", "TabSeparated")
            self._local.state = (user, database)

    def _insert(
        self, connection: Any, statement: Statement, data: bytes, *, may_write: bool
    ) -> bytes:
        """Insert through a file, which the engine reads in native code."""
        ending = f" FORMAT {statement.data_format}"
        head = _plain(connection, statement.sql + ending)
        check_statement(head, may_write=may_write)
        if not head.startswith("INSERT ") or not head.endswith(ending):
            raise DeniedError("only an INSERT has rows in its body", number=62, status=400)
        if not data.strip():
            return b""
        with tempfile.NamedTemporaryFile(dir=self._scratch) as file:
            file.write(data)
            file.flush()
            place = self._scratch / Path(file.name).name
            clause = f" FROM INFILE '{_quoted(str(place), chr(39))}'{_settings(statement)}"
            connection.query(head.removesuffix(ending) + clause + ending, "TabSeparated")
        return b""

    def close(self) -> None:
        self.threads.shutdown(wait=True, cancel_futures=True)


def prepare(folder: Path) -> list[Path]:
    """Write the engine's configuration; return the folders that it writes to."""
    scratch, access = Path(f"{folder}-inserts"), Path(f"{folder}-access")
    shutil.rmtree(scratch, ignore_errors=True)  # left by an insert that a crash interrupted
    for place in (folder, scratch, access):
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
    users = access / "users.xml"
    users.write_text(users_xml())
    config = f"<clickhouse><users_config>{users}</users_config></clickhouse>"
    (access / "config.xml").write_text(config)
    return [folder, scratch]


def _plain(connection: Any, sql: str) -> str:
    """Return `sql` as the engine's formatter writes it: one statement, without comments.

    Raises:
        EngineError: if it is not one statement.
    """
    asked = f"SELECT formatQuerySingleLine('{_quoted(sql, chr(39))}')"
    try:
        found: bytes = connection.query(asked, "RawBLOB").bytes()
    except RuntimeError as error:
        raise EngineError(_SCOPE.sub(". ", str(error).strip())) from error
    return found.decode()


def _quoted(text: str, quote: str) -> str:
    return text.replace("\\", "\\\\").replace(quote, f"\\{quote}")


def _settings(statement: Statement) -> str:
    for name, value in statement.settings.items():
        if not _NAME.match(name) or not _VALUE.match(value):
            raise DeniedError(f"invalid setting {name!r}: {value!r}", number=36, status=400)
    pairs = [f"{name} = '{value}'" for name, value in statement.settings.items()]
    return f" SETTINGS {', '.join(pairs)}" if pairs else ""


def _settings_clause(statement: Statement) -> str:
    """Return the settings of a SELECT without a format or settings of its own; the engine accepts none for others."""
    is_plain = statement.gives_rows and not re.search(
        r"\b(SETTINGS|FORMAT)\b", statement.sql, re.IGNORECASE
    )
    word = statement.sql.lstrip("( \n\t")[:6].upper()
    return "\n" + _settings(statement) if is_plain and word == "SELECT" else ""
