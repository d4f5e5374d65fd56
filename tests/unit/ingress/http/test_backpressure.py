"""Backpressure."""

import pytest

from crossdock.ingress.http.backpressure import Gate
from crossdock.ingress.values.errors import RefusedError


def test_one_too_many_is_told_to_come_back() -> None:
    gate = Gate(max_waiting=1, max_held_bytes=1)
    with gate.wait(), pytest.raises(RefusedError) as caught, gate.wait():
        pass
    with gate.wait():
        pass

    assert caught.value.status == 429
    assert caught.value.headers == {"retry-after": "1"}
    assert gate.waiting == 0


def test_bytes_are_given_back() -> None:
    gate = Gate(max_waiting=1, max_held_bytes=10)
    with gate.hold() as first:
        first.add(6)
        with pytest.raises(RefusedError), gate.hold() as second:
            second.add(5)
        with gate.hold() as third:
            third.add(4)

    assert gate.held_bytes == 0


def test_a_lone_body_is_always_let_in() -> None:
    gate = Gate(max_waiting=1, max_held_bytes=10)
    with gate.hold() as held:
        held.add(100)

    assert gate.held_bytes == 0
