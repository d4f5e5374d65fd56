"""A line that continues elsewhere, or later."""

from dataclasses import dataclass

from crossdock_schemas.ids import ExecutionId


@dataclass(frozen=True, slots=True)
class OnwardLine:
    """A line that continues as `attempt`: at the next candidate, or at this one later or in another worker."""

    line: int
    raw: bytes
    attempt: int
    calls_made: int = 0
    calls_lost: int = 0
    due_ms: int | None = None
    """The earliest time of its next call."""
    is_readmission: bool = False
    """A call without an answer may have used up the hold: the next call needs a new one."""
    is_lost: bool = False
    """The outcome of that call is unknown: its worker may still report it."""
    is_replanned: bool = False
    """Its plan does not hold any more: the router makes another one."""
    repeat_of: ExecutionId | None = None
