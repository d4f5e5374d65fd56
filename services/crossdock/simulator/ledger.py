"""Every call that the simulator received. Tests compare it with the journal."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from crossdock.simulator.core.call_table import CallRow, Columns, ReceivedCall
from crossdock.simulator.journal import Journal

_SHOWN_REPEATS = 100


class CallLedger:
    """Calls in memory, and in a file if there is one. Numbers are never used twice."""

    def __init__(self, path: Path | None = None) -> None:
        self._columns = Columns()
        self._journal = Journal(path) if path is not None else None
        if self._journal is not None:
            self._journal.replay(self._columns)
        self._first = 0

    def __len__(self) -> int:
        return len(self._columns)

    def add(self, entry: ReceivedCall) -> int:
        """Add a call and return its number; it is in the file after the next `flush`."""
        number = self._first + len(self._columns)
        self._columns.add(entry)
        if self._journal is not None:
            self._journal.received(number, entry)
        return number

    def finish(self, number: int, finished_ns: int, *, is_whole: bool) -> None:
        """Store the end of a call; a call that was cleared meanwhile is ignored."""
        if number < self._first:
            return
        self._columns.finish(number - self._first, finished_ns, is_whole=is_whole)
        if self._journal is not None:
            self._journal.finished(number, finished_ns, is_whole=is_whole)

    def flush(self) -> None:
        if self._journal is not None:
            self._journal.flush()

    def clear(self) -> None:
        self._first += len(self._columns)
        self._columns = Columns()
        if self._journal is not None:
            self._journal.clear()

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()

    def rows(self, *, provider: str | None = None, since_ns: int = 0) -> Iterator[CallRow]:
        """Yield the calls of `provider` (None: of all) that started at or after `since_ns`."""
        for row in self._columns.rows():
            if provider in {None, row.provider} and row.started_ns >= since_ns:
                yield row

    def summary(self) -> dict[str, object]:
        """Return counts over all calls, and each (request, attempt) that was repeated.

        A call without a request id counts separately. Takes about a second per million calls.
        """
        columns, names = self._columns, self._columns.names.names
        calls = Counter(
            (request_id, columns.words[4 * index])
            for index in range(len(columns))
            if (request_id := columns.request_id(index))
        )
        repeats = [(call, count) for call, count in calls.items() if count > 1]
        repeated = sum(count - 1 for _, count in repeats)
        return {
            "calls": len(columns),
            "by_provider": _named(columns.words[1::4], names),
            "by_model": _named(columns.words[2::4], names),
            "by_outcome": _named(columns.words[3::4], names),
            "by_status": {str(k): v for k, v in Counter(columns.counts[0::3]).items()},
            "distinct": len(columns) - repeated,
            "repeated": repeated,
            "repeated_calls": [
                [request_id.decode("latin-1"), names[attempt], count]
                for (request_id, attempt), count in repeats[:_SHOWN_REPEATS]
            ],
            "whole": sum(columns.whole),
            "prompt_tokens": sum(columns.counts[1::3]),
            "output_tokens": sum(columns.counts[2::3]),
        }


def _named(codes: Iterable[int], names: list[str]) -> dict[str, int]:
    return {names[code]: count for code, count in Counter(codes).items()}
