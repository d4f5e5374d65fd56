"""Records held back until their time."""

from hypothesis import given
from hypothesis import strategies as st

from crossdock.kernel.process.record import Record
from crossdock.kernel.runtime.shard.delay_queue import MAX_BYTES, MAX_COUNT, DelayQueue

DELAY_MS = 30_000


def make_record(offset: int, *, at_ms: int = 0, partition: int = 0, size: int = 1) -> Record:
    return Record("later.30s", partition, offset, at_ms, None, b"x" * size, [])


def make_holding() -> DelayQueue:
    return DelayQueue(lambda record: record.timestamp_ms + DELAY_MS)


def test_a_record_comes_when_its_time_has_come_and_not_a_millisecond_before() -> None:
    holding = make_holding()
    holding.add([make_record(0, at_ms=1000)])

    assert holding.take(1000 + DELAY_MS - 1) == []
    assert [record.offset for record in holding.take(1000 + DELAY_MS)] == [0]
    assert holding.take(10**9) == []


def test_a_partition_does_not_wait_for_another() -> None:
    holding = make_holding()
    holding.add([make_record(0, at_ms=9000), make_record(0, at_ms=1000, partition=1)])

    assert [record.partition for record in holding.take(1000 + DELAY_MS)] == [1]


def test_a_partition_with_its_share_of_records_is_not_polled() -> None:
    holding = make_holding()
    holding.add(make_record(n) for n in range(MAX_COUNT - 1))
    assert holding.full() == frozenset()

    holding.add([make_record(MAX_COUNT)])
    assert holding.full() == {("later.30s", 0)}

    holding.take(DELAY_MS)
    assert holding.full() == frozenset()


def test_a_partition_with_its_share_of_bytes_is_not_polled() -> None:
    holding = make_holding()
    holding.add([make_record(0, size=MAX_BYTES)])

    assert holding.full() == {("later.30s", 0)}


@given(st.lists(st.integers(0, 100_000), max_size=50), st.integers(0, 150_000))
def test_nothing_is_lost_and_order_is_kept(times: list[int], now_ms: int) -> None:
    holding = make_holding()
    records = [make_record(n, at_ms=at) for n, at in enumerate(sorted(times))]
    holding.add(records)

    due, rest = holding.take(now_ms), holding.take(10**9)

    assert due + rest == records
    assert all(record.timestamp_ms + DELAY_MS <= now_ms for record in due)
    assert not rest or rest[0].timestamp_ms + DELAY_MS > now_ms
