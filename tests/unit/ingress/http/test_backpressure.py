"""Backpressure."""

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.ingress.http.backpressure import Gate
from crossdock.ingress.values.errors import RefusedError


def make_gate(
    *,
    max_waiting: int = 1,
    max_held_bytes: int = 10,
    waiting_share: int = 100,
    held_share: int = 100,
) -> Gate:
    return Gate(
        max_waiting=max_waiting,
        max_held_bytes=max_held_bytes,
        waiting_share=waiting_share,
        held_share=held_share,
    )


def test_one_too_many_is_told_to_come_back() -> None:
    gate = make_gate(max_waiting=1, max_held_bytes=1)
    with gate.wait("a"), pytest.raises(RefusedError) as caught, gate.wait("a"):
        pass
    with gate.wait("a"):
        pass

    assert caught.value.status == 429
    assert caught.value.headers == {"retry-after": "1"}
    assert gate.waiting == 0


def test_an_organization_leaves_places_to_others() -> None:
    gate = make_gate(max_waiting=3, waiting_share=2)
    with gate.wait("a"), gate.wait("a"):
        with pytest.raises(RefusedError), gate.wait("a"):
            pass
        with gate.wait("b"):
            pass


def test_bytes_are_given_back() -> None:
    gate = make_gate(max_held_bytes=10)
    with gate.hold("a") as first:
        first.add(6)
        with pytest.raises(RefusedError), gate.hold("b") as second:
            second.add(5)
        with gate.hold("b") as third:
            third.add(4)

    assert gate.held_bytes == 0


def test_an_organization_leaves_bytes_to_others() -> None:
    gate = make_gate(max_held_bytes=10, held_share=6)
    with gate.hold("a") as first, gate.hold("a") as second, gate.hold("b") as third:
        first.add(5)
        with pytest.raises(RefusedError):
            second.add(2)
        third.add(5)


def test_a_lone_body_is_always_let_in() -> None:
    gate = make_gate(max_held_bytes=10, held_share=5)
    with gate.hold("a") as held:
        held.add(100)

    assert gate.held_bytes == 0


@given(
    steps=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30))),
)
def test_neither_all_nor_one_organization_hold_more_than_their_share(
    steps: list[tuple[str, int]],
) -> None:
    gate = make_gate(max_held_bytes=60, held_share=40)
    held: dict[str, int] = {}
    with ExitStack() as stack:
        for account, count in steps:
            before = gate.held_bytes
            body = stack.enter_context(gate.hold(account))
            try:
                body.add(count)
            except RefusedError:
                assert gate.held_bytes == before
            held[account] = held.get(account, 0) + gate.held_bytes - before
            assert held[account] <= 40
            assert gate.held_bytes <= 60

    assert gate.held_bytes == 0
