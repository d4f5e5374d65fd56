"""A record knows its place and size; a key has one partition."""

from hypothesis import given
from hypothesis import strategies as st

from crossdock.kernel.process.record import Outgoing, Record, partition_for


def test_size_counts_key_value_and_headers() -> None:
    headers = [("a", b"12"), ("bc", b"")]

    assert Record("t", 1, 5, 0, b"key", b"value", headers).size == 3 + 5 + 3 + 2
    assert Record("t", 1, 5, 0, None, None, []).size == 0
    assert Outgoing("t", b"key", b"value", headers).size == 13
    assert Outgoing("t", None, None, []).size == 0
    assert Record("t", 1, 5, 0, None, None, []).place == ("t", 1)


@given(st.none() | st.binary(), st.integers(1, 64))
def test_a_key_has_one_partition_among_so_many(key: bytes | None, count: int) -> None:
    assert 0 <= partition_for(key, count) < count
    assert partition_for(key, count) == partition_for(key, count)


def test_keys_spread() -> None:
    assert {partition_for(b"key-%d" % n, 8) for n in range(200)} == set(range(8))
