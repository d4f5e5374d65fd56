"""Claims: the calls that a worker begins, and the lines that ended. Written before sockets open.

A new owner of a partition reads them first. It skips lines that ended, leaves calls under a live lease to their worker,
and books calls that began and never ended before it repeats them: they may have been paid for.
"""

from crossdock_schemas.message import Message


class CallStarted(Message):
    """A call begins for some lines of a record; for each of them it has the number `call` (from 1)."""

    topic: str
    offset: int
    call: int
    lines: tuple[int, ...]


class LinesEnded(Message):
    """All outputs of these lines of a record are published."""

    topic: str
    offset: int
    lines: tuple[int, ...]


class ClaimNote(Message):
    """A worker's note on one partition number. Every note renews the lease of all its calls there."""

    claim: str
    """The life of the worker; each start of its process has a new one."""
    worker: str
    """The name of the worker, which stays. A new life under it shows that earlier lives have ended."""
    at_ms: int
    lease_until_ms: int
    started: tuple[CallStarted, ...] = ()
    ended: tuple[LinesEnded, ...] = ()
