"""The ring of results."""

import asyncio

import pytest

from crossdock.ingress.views.results import Ring
from crossdock.kernel.process.record import Record


def make_record(key: str, value: bytes = b"x", at_ms: int = 1000) -> Record:
    return Record("results", 0, 0, at_ms, key.encode(), value, ())


def make_ring(**limits: int) -> Ring:
    return Ring(**{"max_count": 100, "max_bytes": 10_000, **limits})


async def test_a_waiter_gets_its_result() -> None:
    ring = make_ring()
    with ring.waiter("a") as result:
        ring.add(make_record("b"))
        ring.add(make_record("a", b"mine"))

        assert (await result).value == b"mine"
    assert ring.waiting == 0


async def test_the_first_result_is_the_one() -> None:
    ring = make_ring()
    with ring.waiter("a") as result:
        ring.add(make_record("a", b"first"))
        ring.add(make_record("a", b"second"))

        assert (await result).value == b"first"
    found = ring.find("a")
    assert found is not None
    assert found.value == b"first"


async def test_a_result_for_somebody_who_left_is_kept_quietly() -> None:
    ring = make_ring()
    with ring.waiter("a") as result:
        result.cancel()
        ring.add(make_record("a"))

    assert ring.find("a") is not None
    with pytest.raises(asyncio.CancelledError):
        await result


def test_the_ring_is_bounded_by_count() -> None:
    ring = make_ring(max_count=2)
    for name in "abc":
        ring.add(make_record(name))

    assert ring.find("a") is None
    assert len(ring) == 2


def test_the_ring_is_bounded_by_bytes() -> None:
    ring = make_ring(max_bytes=250)
    for name in "abc":
        ring.add(make_record(name, b"x" * 100))

    assert ring.find("a") is None
    assert ring.bytes == 202


def test_the_ring_forgets_after_ten_minutes() -> None:
    ring = make_ring()
    ring.add(make_record("a", at_ms=0))
    ring.add(make_record("b", at_ms=600_001))

    assert ring.find("a") is None
    assert ring.find("b") is not None


def test_a_record_that_is_no_result_is_passed_over() -> None:
    ring = make_ring()
    ring.add(Record("results", 0, 0, 0, None, b"x", ()))
    ring.add(Record("results", 0, 0, 0, b"k", None, ()))

    assert len(ring) == 0
