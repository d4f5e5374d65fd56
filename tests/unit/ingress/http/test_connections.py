"""Which connections are admitted, and which give way."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crossdock.ingress.http.connections import ConnectionRegistry
from crossdock.ingress.http.pace import TransferPace
from crossdock.ingress.settings import IngressSettings
from support.accounts import KEY_SECRET


class Fake:
    """A connection that is open until the registry ends it."""

    def __init__(self, address: str = "10.0.0.1") -> None:
        self.address = address
        self.end = ""

    def check(self, now: float, elapsed_s: float) -> None:
        raise AssertionError("not checked here")

    def give_way(self) -> None:
        self.end = "gave way"

    def cut_off(self) -> None:
        self.end = "cut off"


def make_registry(limit: int = 100, **settings: Any) -> ConnectionRegistry:
    return ConnectionRegistry(IngressSettings(key_secret=KEY_SECRET, **settings), limit)


def admit(registry: ConnectionRegistry, *ones: Fake) -> list[int | None]:
    found = [registry.admit(one, one.address) for one in ones]
    return [None if refusal is None else refusal.status for refusal in found]


def test_the_one_that_waits_longest_gives_way() -> None:
    registry = make_registry(3)
    first, second, third, fourth = fakes = [Fake() for _ in range(4)]

    admit(registry, first, second, third)
    registry.work(first)
    registry.wait(first)
    registry.work(third)

    assert admit(registry, fourth) == [None]
    assert [one.end for one in fakes] == ["", "gave way", "", ""]
    assert len(registry) == 3


def test_one_that_had_an_answer_gives_way_last() -> None:
    registry = make_registry(2)
    served, new, *others = fakes = [Fake() for _ in range(4)]
    admit(registry, served, new)
    registry.work(served)
    registry.wait(served, had_answer=True)

    admit(registry, others[0])
    registry.work(others[0])
    admit(registry, others[1])

    assert [one.end for one in fakes] == ["gave way", "gave way", "", ""]


def test_where_all_work_the_newest_is_refused() -> None:
    registry = make_registry(2)
    first, second, third = (Fake() for _ in range(3))
    admit(registry, first, second)
    registry.work(first)
    registry.work(second)

    assert admit(registry, third) == [503]
    registry.remove(first)
    assert admit(registry, third) == [None]


def test_the_address_with_most_connections_makes_room_for_others() -> None:
    registry = make_registry(4)
    other, many = Fake("10.0.0.2"), [Fake() for _ in range(3)]
    admit(registry, other, *many)

    assert admit(registry, Fake("10.0.0.3")) == [None]
    assert (other.end, many[0].end) == ("", "gave way")


def test_one_address_has_a_limit_of_its_own_and_a_trusted_proxy_has_not() -> None:
    settings: dict[str, Any] = {"max_connections_per_address": 1, "trusted_proxies": "10.1.0.0/16"}
    registry = make_registry(**settings)
    ones = [Fake(), Fake("10.1.0.1"), Fake("2001:db8::1")]
    admit(registry, *ones)
    for one in ones:
        registry.work(one)

    new = [Fake(), Fake("10.1.0.1"), Fake("2001:db8::2"), Fake("2001:db8:0:1::1")]
    assert admit(registry, *new) == [429, None, 429, None]


def test_the_slowest_reader_is_cut_off() -> None:
    registry = make_registry(max_unsent_bytes=100)
    first, second, third = (Fake() for _ in range(3))
    admit(registry, first, second, third)

    registry.stall(first, 40)
    registry.stall(second, 50)
    registry.flow(first)
    registry.stall(first, 40)
    registry.stall(third, 50)

    assert [one.end for one in (first, second, third)] == ["", "cut off", ""]
    assert registry.unsent_bytes == 90


def test_a_lone_reader_may_have_any_answer() -> None:
    registry = make_registry(max_unsent_bytes=100)
    one = Fake()
    admit(registry, one)

    registry.stall(one, 1000)

    assert one.end == ""


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["admit", "work", "wait", "stall", "flow", "remove"]),
        st.integers(0, 9),
        st.integers(0, 60),
    ),
    max_size=60,
)


@given(steps=STEPS, limit=st.integers(1, 4), share=st.integers(1, 4))
def test_the_counts_are_those_of_what_is_open(
    steps: Sequence[tuple[str, int, int]], limit: int, share: int
) -> None:
    registry = make_registry(limit, max_connections_per_address=share, max_unsent_bytes=100)
    fakes = [Fake(f"10.0.0.{number % 3}") for number in range(10)]
    is_open: set[Fake] = set()
    for step, number, size in steps:
        one = fakes[number]
        if step != "admit":
            getattr(registry, step)(one, *([size] if step == "stall" else []))
        elif one not in is_open and not one.end and registry.admit(one, one.address) is None:
            is_open.add(one)
        is_open = {x for x in is_open if not x.end and (step, x) != ("remove", one)}

        assert len(registry) == len(is_open) <= limit
        assert registry.unsent_bytes <= 100
        for address in {one.address for one in fakes}:
            assert sum(one.address == address for one in is_open) <= share
    for one in fakes:
        registry.remove(one)
    assert (len(registry), registry.unsent_bytes) == (0, 0)


def make_pace() -> TransferPace:
    return TransferPace(pause_s=10, least_rate=100)


def test_a_pause_is_too_long_after_its_time() -> None:
    pace = make_pace()

    assert [pace.wait(5, 100_000), pace.wait(10, 0), pace.wait(0.1, 0)] == [False, False, True]


def test_bytes_that_trickle_are_too_slow_on_average() -> None:
    pace = make_pace()

    found = [pace.wait(1, 10) for _ in range(20)]

    assert found.index(True) == 11  # 12 s for 120 bytes: 10 s and a second for each 100 are 11.2


@given(st.lists(st.tuples(st.floats(0.1, 5), st.integers(100, 10_000)), max_size=50))
def test_a_transfer_at_the_least_rate_is_never_too_slow(
    steps: Sequence[tuple[float, int]],
) -> None:
    pace = make_pace()

    assert not any(pace.wait(elapsed, round(elapsed * 100) + moved) for elapsed, moved in steps)
