"""Backpressure: bounds the number of waiting callers and the bytes of their bodies in memory. Pure."""

from collections.abc import Iterator
from contextlib import contextmanager

from crossdock.ingress.values import errors


class Gate:
    """Counts callers and bytes; above a limit a caller gets a 429 before memory grows."""

    def __init__(self, *, max_waiting: int, max_held_bytes: int) -> None:
        self._max_waiting = max_waiting
        self._max_held_bytes = max_held_bytes
        self.waiting = 0
        self.held_bytes = 0

    @contextmanager
    def wait(self) -> Iterator[None]:
        """Count one waiting caller until the context ends.

        Raises:
            RefusedError: 429 if there are too many already.
        """
        if self.waiting >= self._max_waiting:
            raise errors.too_busy()
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    @contextmanager
    def hold(self) -> Iterator["HeldBytes"]:
        """Hold bytes until the context ends."""
        held = HeldBytes(self)
        try:
            yield held
        finally:
            held.release()

    def has_room(self, count: int) -> bool:
        # why: one body is always accepted; else a limit below its size would refuse it for ever
        return self.held_bytes == 0 or self.held_bytes + count <= self._max_held_bytes


class HeldBytes:
    """The bytes of one request's body in memory."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._bytes = 0

    def add(self, count: int) -> None:
        """Hold `count` bytes more.

        Raises:
            RefusedError: 429 if all callers together hold too much.
        """
        if not self._gate.has_room(count):
            raise errors.too_busy()
        self._bytes += count
        self._gate.held_bytes += count

    def release(self) -> None:
        self._gate.held_bytes -= self._bytes
        self._bytes = 0
