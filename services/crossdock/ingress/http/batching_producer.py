"""The outbox: publishes the records of concurrent callers in groups.

One send runs at a time; the records that arrive meanwhile are the next group. So a lone record leaves at once, and
under load all waiting callers share a round trip to the broker.
"""

import asyncio
import time
from typing import NamedTuple

from crossdock.ingress.http.ports import EventLog
from crossdock.ingress.values import errors
from crossdock.kernel.process.errors import LogError
from crossdock.kernel.process.record import MAX_RECORD_BYTES, Outgoing

MAX_GROUP_BYTES = 8 * 1024**2


class PendingRecord(NamedTuple):
    """A record, its acknowledgement, and the record that withdraws it if the caller is refused after all."""

    message: Outgoing
    acknowledged: asyncio.Future[None]
    withdrawal: Outgoing | None


class Outbox:
    """Publishes records; `run` does the work."""

    def __init__(self, log: EventLog, *, timeout_s: float) -> None:
        self._log = log
        self._timeout_s = timeout_s
        self._entries: list[PendingRecord] = []
        self._filled = asyncio.Event()
        self._sending_since: float | None = None

    @property
    def is_stuck(self) -> bool:
        """Whether Kafka has not acknowledged a record for longer than a caller waits."""
        since = self._sending_since
        return since is not None and time.monotonic() - since > self._timeout_s

    async def publish(self, message: Outgoing, *, withdrawal: Outgoing | None = None) -> None:
        """Return when the broker has acknowledged `message`.

        Raises:
            RefusedError: 413 if no record takes it. 503 if the broker refused it or did not answer in time. A record
                that was sent may still arrive, followed by its `withdrawal`. At once if the broker has not answered
                others for that long, so callers and records do not pile up.
        """
        if message.is_too_large:
            raise errors.RefusedError(
                413,
                f"This request takes {message.size} bytes beside its body; the limit is {MAX_RECORD_BYTES}. "
                "Shorten its texts, such as metadata, patterns and names.",
                reason="request_too_large",
            )
        if self.is_stuck:
            raise errors.unavailable("The event log")
        acknowledged = self._add(message, withdrawal)
        try:
            async with asyncio.timeout(self._timeout_s):
                await acknowledged
        except (LogError, TimeoutError):
            raise errors.unavailable("The event log") from None

    def _add(self, message: Outgoing, withdrawal: Outgoing | None) -> asyncio.Future[None]:
        entry = PendingRecord(message, asyncio.get_running_loop().create_future(), withdrawal)
        self._entries.append(entry)
        self._filled.set()
        return entry.acknowledged

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop` is set (call `wake` then) and nothing is left."""
        while self._entries or not stop.is_set():
            await self._filled.wait()
            group = self._take()
            if group:
                await self._send(group)

    def wake(self) -> None:
        self._filled.set()

    def _take(self) -> list[PendingRecord]:
        """Return the next group, without the records whose callers have given up."""
        waiting = [entry for entry in self._entries if not entry.acknowledged.done()]
        size = 0
        for count, entry in enumerate(waiting):
            size += entry.message.size
            if size > MAX_GROUP_BYTES and count:
                self._entries = waiting[count:]
                return waiting[:count]
        self._entries = []
        self._filled.clear()
        return waiting

    async def _send(self, group: list[PendingRecord]) -> None:
        self._sending_since = time.monotonic()
        try:
            await self._log.send([entry.message for entry in group])
        except LogError as error:
            for entry in group:
                if not entry.acknowledged.done():
                    entry.acknowledged.set_exception(error)
        else:
            for entry in group:
                if not entry.acknowledged.done():
                    entry.acknowledged.set_result(None)
        finally:
            self._sending_since = None
        self._withdraw(group)

    def _withdraw(self, group: list[PendingRecord]) -> None:
        """Send the withdrawals: those callers got a 503, so their records must have no effect."""
        for entry in group:
            future = entry.acknowledged
            if entry.withdrawal is not None and (future.cancelled() or future.exception()):
                self._add(entry.withdrawal, None).add_done_callback(_seen)


def _seen(sent: asyncio.Future[None]) -> None:
    """Read the outcome of a withdrawal, which no caller awaits. If Kafka refuses it too, the request runs."""
    if not sent.cancelled():
        sent.exception()
