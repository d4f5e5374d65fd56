"""Backpressure: bounds waiting callers and bytes in memory, of all and of each organization. Pure."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from crossdock.ingress.values import errors

OPERATOR = ""
"""The organization of bodies that belong to none."""


class Gate:
    """Counts callers and bytes; above a limit a caller gets a 429 before memory grows.

    One organization gets a share only, so that it does not take the places of all others.
    """

    def __init__(
        self, *, max_waiting: int, max_held_bytes: int, waiting_share: int, held_share: int
    ) -> None:
        self._max_waiting = max_waiting
        self._max_held_bytes = max_held_bytes
        self._waiting_share = waiting_share
        self._held_share = held_share
        self._waiting_of: Counter[str] = Counter()
        self._held_of: Counter[str] = Counter()
        self.waiting = 0
        self.held_bytes = 0

    @contextmanager
    def wait(self, account: str) -> Iterator[None]:
        """Count one waiting caller of an organization until the context ends.

        Raises:
            RefusedError: 429 if there are too many already.
        """
        if self.waiting >= self._max_waiting or self._waiting_of[account] >= self._waiting_share:
            raise errors.too_busy()
        self.waiting += 1
        self._waiting_of[account] += 1
        try:
            yield
        finally:
            self.waiting -= 1
            _take(self._waiting_of, account, 1)

    @contextmanager
    def hold(self, account: str = OPERATOR) -> Iterator["HeldBytes"]:
        """Hold bytes of an organization until the context ends."""
        held = HeldBytes(self, account)
        try:
            yield held
        finally:
            held.release()

    def take(self, account: str, count: int) -> None:
        """Count `count` bytes more.

        Raises:
            RefusedError: 429 if all callers together, or those of the organization, hold too much.
        """
        if not self._has_room(account, count):
            raise errors.too_busy()
        self._held_of[account] += count
        self.held_bytes += count

    def _has_room(self, account: str, count: int) -> bool:
        # why: one body is always accepted; else a limit below its size would refuse it for ever
        held = self._held_of[account]
        is_in_share = held == 0 or held + count <= self._held_share
        return is_in_share and (
            self.held_bytes == 0 or self.held_bytes + count <= self._max_held_bytes
        )

    def give_back(self, account: str, count: int) -> None:
        self.held_bytes -= count
        _take(self._held_of, account, count)


def _take(counts: Counter[str], name: str, count: int) -> None:
    counts[name] -= count
    if not counts[name]:
        del counts[name]


class HeldBytes:
    """The bytes of one request's body in memory."""

    def __init__(self, gate: Gate, account: str) -> None:
        self._gate = gate
        self._account = account
        self._bytes = 0

    def add(self, count: int) -> None:
        """Hold `count` bytes more.

        Raises:
            RefusedError: 429 if callers hold too much.
        """
        self._gate.take(self._account, count)
        self._bytes += count

    def release(self) -> None:
        self._gate.give_back(self._account, self._bytes)
        self._bytes = 0
