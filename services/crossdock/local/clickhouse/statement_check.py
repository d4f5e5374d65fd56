"""Refuses statements that the engine's rights do not cover. Pure.

It reads a statement as the engine's own formatter wrote it: one statement, without comments, with plain names. The
server runs that text, so what was checked is what runs.
"""

import re

from crossdock.local.clickhouse.access import DeniedError
from crossdock.local.clickhouse.statement import ROWS

_WRITES = frozenset(
    {"ALTER", "CREATE", "DELETE", "DROP", "INSERT", "OPTIMIZE", "RENAME", "TRUNCATE", "UPDATE"}
)
_ENGINE = re.compile(r"\bENGINE = (\w+)")
_ENGINES = re.compile(r"^(?:\w*MergeTree|Memory|Null|Log|TinyLog|StripeLog|Atomic)$")
_STRING = re.compile(r"'(?:[^'\\]|\\.)*'", re.DOTALL)
_FORBIDDEN = re.compile(
    r"\b(?:INTO OUTFILE|FROM INFILE|PARALLEL WITH|file|python|eval|executable)\b", re.IGNORECASE
)
"""Clauses that the engine's client runs without asking for a right, and functions that ask for none."""


def check_statement(sql: str, *, may_write: bool) -> None:
    """Refuse `sql` unless it is a query, or a change of tables.

    Raises:
        DeniedError: if it may not run.
    """
    text = _STRING.sub("''", sql)
    word = text.lstrip("( ").partition(" ")[0].upper()
    if word not in ROWS | _WRITES:
        raise DeniedError(f"{word or 'an empty statement'} is not available over HTTP")
    if word in _WRITES and not may_write:
        raise DeniedError("a GET request only reads: send the statement with POST", number=164)
    plain = text.replace("`", "").replace('"', "")
    for engine in _ENGINE.findall(plain) if word in _WRITES else ():
        if not _ENGINES.match(engine):
            raise DeniedError(f"the engine {engine} is not available: use MergeTree, Memory or Log")
    if found := _FORBIDDEN.search(plain):
        raise DeniedError(
            f"{found.group()!r} is not available: the server reads and writes no files, and runs no programs"
        )
