"""The ledger's file: a line for each received call, and a shorter one for its end. Survives kill -9.

A received line is a JSON array [number, *ReceivedCall], a finished one [number, finished_ns, is_whole].
"""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

from crossdock.simulator.core.call_table import Columns, ReceivedCall

_RECEIVED_FIELDS = 1 + len(ReceivedCall._fields)
_FINISHED_FIELDS = 3


class Journal:
    """Lines wait until `flush`, which writes them at once; on a full disk they continue to wait."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._pending: list[bytes] = []
        self._mend()

    def _mend(self) -> None:
        """End an incomplete last line, so that the next one begins a new line."""
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            self._pending.append(b"\n")

    def received(self, number: int, entry: ReceivedCall) -> None:
        request_id, attempt, *others = entry
        fields = (number, request_id.decode("latin-1"), attempt.decode("latin-1"), *others)
        self._pending.append(to_json(fields) + b"\n")

    def finished(self, number: int, finished_ns: int, *, is_whole: bool) -> None:
        self._pending.append(b"[%d,%d,%d]\n" % (number, finished_ns, is_whole))

    def flush(self) -> None:
        if self._pending:
            left = memoryview(b"".join(self._pending))
            self._pending.clear()
            try:
                while left:
                    left = left[os.write(self._file, left) :]
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                self._pending.append(bytes(left))

    def clear(self) -> None:
        self._pending.clear()
        os.ftruncate(self._file, 0)

    def close(self) -> None:
        self.flush()
        os.close(self._file)

    def replay(self, columns: Columns) -> None:
        """Add the lines of an earlier process to `columns`; incomplete lines are skipped."""
        indexes: dict[int, int] = {}
        for values in self._lines():
            if len(values) == _RECEIVED_FIELDS:
                indexes[values[0]] = len(columns)
                request_id, attempt = (str(value).encode("latin-1") for value in values[1:3])
                columns.add(ReceivedCall(request_id, attempt, *values[3:]))
            elif len(values) == _FINISHED_FIELDS and values[0] in indexes:
                columns.finish(indexes[values[0]], values[1], is_whole=bool(values[2]))

    def _lines(self) -> Iterator[list[Any]]:
        with self._path.open("rb") as file:
            for line in file:
                try:
                    values = from_json(line)
                except ValueError:
                    continue
                if isinstance(values, list):
                    yield values
