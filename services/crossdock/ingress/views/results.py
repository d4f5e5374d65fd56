"""The ring: the results of the last minutes, and the callers that wait. Every ingress gets every single result."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from crossdock.kernel.process.record import Record

MAX_AGE_MS = 600_000


class Ring:
    """Recent results by request id, bounded by count, bytes and age. The first result of a request is the one.

    Holds records undecoded: most of them are for callers of another ingress.
    """

    def __init__(self, *, max_count: int, max_bytes: int, max_age_ms: int = MAX_AGE_MS) -> None:
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._max_age_ms = max_age_ms
        self._records: OrderedDict[bytes, Record] = OrderedDict()
        self._waiters: dict[bytes, asyncio.Future[Record]] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._records)

    @property
    def waiting(self) -> int:
        return len(self._waiters)

    def add(self, record: Record) -> None:
        """Take in a record of the topic."""
        key = record.key
        if key is None or record.value is None or key in self._records:
            return
        self._records[key] = record
        self.bytes += record.size
        self._trim(record.timestamp_ms)
        waiter = self._waiters.get(key)
        if waiter is not None and not waiter.done():
            waiter.set_result(record)

    def find(self, request_id: str) -> Record | None:
        return self._records.get(request_id.encode())

    @contextmanager
    def waiter(self, request_id: str) -> Iterator[asyncio.Future[Record]]:
        """Give the future of a request's result. Enter before publishing the request: then nothing is missed."""
        key = request_id.encode()
        future: asyncio.Future[Record] = asyncio.get_running_loop().create_future()
        self._waiters[key] = future
        try:
            yield future
        finally:
            del self._waiters[key]
            future.cancel()

    def _trim(self, now_ms: int) -> None:
        while self._records and (
            len(self._records) > self._max_count
            or self.bytes > self._max_bytes
            or self._oldest_ms() < now_ms - self._max_age_ms
        ):
            _, record = self._records.popitem(last=False)
            self.bytes -= record.size

    def _oldest_ms(self) -> int:
        return next(iter(self._records.values())).timestamp_ms
