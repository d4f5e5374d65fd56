"""A record is at fault, or the machinery around it: only the first becomes a dead letter."""

import asyncio

import pytest

from crossdock.kernel.process.errors import (
    FencedError,
    LeaseLostError,
    LogError,
    NoSuchObjectError,
    RecordTooLargeError,
    RowsRefusedError,
    StoreError,
    TableError,
    TooManyDeadLettersError,
    UndecodableError,
    is_poison,
)

POISON = [
    KeyError("model"),
    OverflowError("date value out of range"),
    AssertionError(),
    RecursionError(),
    UndecodableError("t", 0, 0, "why"),
    RecordTooLargeError("t", b"k", 2_000_000),
    RowsRefusedError("too large a number"),
    NoSuchObjectError("path"),
    ExceptionGroup("lines", [KeyError(), ExceptionGroup("", [ValueError()])]),
]
MACHINERY = [
    LogError("away"),
    FencedError("taken over"),
    LeaseLostError(3),
    TooManyDeadLettersError("t", 0, 0, "why"),
    StoreError("away"),
    TableError("away"),
    OSError("disk full"),
    TimeoutError(),
    MemoryError(),
    asyncio.CancelledError(),
    KeyboardInterrupt(),
    ExceptionGroup("lines", [KeyError(), LogError("away")]),
]


@pytest.mark.parametrize("error", POISON, ids=repr)
def test_a_record_is_at_fault(error: BaseException) -> None:
    assert is_poison(error)


@pytest.mark.parametrize("error", MACHINERY, ids=repr)
def test_the_machinery_is_at_fault(error: BaseException) -> None:
    assert not is_poison(error)
