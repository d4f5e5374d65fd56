"""The outbox: what many callers publish at once goes out in groups.

One send is under way at a time; what comes meanwhile is the next group. So a lone record leaves at once, and under load
a broker round trip is shared by all who wait.
"""

import asyncio
import time
from typing import NamedTuple

from crossdock.ingress.http.ports import Log
from crossdock.ingress.values import errors
from crossdock.kernel.process.errors import LogError
from crossdock.kernel.process.record import Outgoing

MAX_GROUP_BYTES = 8 * 1024**2


class Entry(NamedTuple):
    """A record, who waits for its acknowledgement, and what follows it where the caller was refused after all."""

    message: Outgoing
    acknowledged: asyncio.Future[None]
    withdrawal: Outgoing | None


class Outbox:
    """Publishes records; `run` does the work."""

    def __init__(self, log: Log, *, timeout_s: float) -> None:
        self._log = log
        self._timeout_s = timeout_s
        self._entries: list[Entry] = []
        self._filled = asyncio.Event()
        self._sending_since: float | None = None

    @property
    def is_stuck(self) -> bool:
        """Whether the broker owes an acknowledgement for longer than a caller waits."""
        since = self._sending_since
        return since is not None and time.monotonic() - since > self._timeout_s

    async def publish(self, message: Outgoing, *, withdrawal: Outgoing | None = None) -> None:
        """Return once the broker has `message`.

        Raises:
            RefusedError: 503 when it refused or did not answer in time. A record that was on its way may still arrive,
                followed by its `withdrawal`. At once when the broker has not answered others for that long: nobody
                is kept waiting, nothing piles up.
        """
        if self.is_stuck:
            raise errors.unavailable("The event log")
        acknowledged = self._add(message, withdrawal)
        try:
            async with asyncio.timeout(self._timeout_s):
                await acknowledged
        except (LogError, TimeoutError):
            raise errors.unavailable("The event log") from None

    def _add(self, message: Outgoing, withdrawal: Outgoing | None) -> asyncio.Future[None]:
        entry = Entry(message, asyncio.get_running_loop().create_future(), withdrawal)
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

    def _take(self) -> list[Entry]:
        """Return the next group; entries whose callers gave up are dropped unsent."""
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

    async def _send(self, group: list[Entry]) -> None:
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

    def _withdraw(self, group: list[Entry]) -> None:
        """Let withdrawals follow: those callers were told that their record was not taken."""
        for entry in group:
            future = entry.acknowledged
            if entry.withdrawal is not None and (future.cancelled() or future.exception()):
                self._add(entry.withdrawal, None).add_done_callback(_seen)


def _seen(sent: asyncio.Future[None]) -> None:
    """Nobody waits for a withdrawal: where the broker refuses it too, its request runs."""
    if not sent.cancelled():
        sent.exception()
