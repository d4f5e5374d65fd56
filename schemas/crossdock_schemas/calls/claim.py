"""Claims: what a pool's worker is about to do, and what of it has ended. Written before sockets open.

A new owner of a partition reads them first: what ended is not done again; what another worker still holds under a live
lease is left to it; what was begun and never ended may have been paid for, and is booked before it is begun again.
"""

from crossdock_schemas.message import Message


class CallStarted(Message):
    """Some lines of one record are about to be called: for all of them it is their call number `call` (from 1)."""

    topic: str
    offset: int
    call: int
    lines: tuple[int, ...]


class LinesEnded(Message):
    """All that came of these lines of a record is on its topics."""

    topic: str
    offset: int
    lines: tuple[int, ...]


class ClaimNote(Message):
    """One worker's news about one partition number. Every note renews the lease of all that the worker holds there."""

    claim: str
    """The worker's life: another one after each start of its process."""
    worker: str
    """Its name, which stays: who comes back under it has outlived its earlier lives."""
    at_ms: int
    lease_until_ms: int
    started: tuple[CallStarted, ...] = ()
    ended: tuple[LinesEnded, ...] = ()
