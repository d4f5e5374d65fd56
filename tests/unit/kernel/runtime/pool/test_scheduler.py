from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from crossdock.kernel.process.record import Record
from crossdock.kernel.runtime.pool.scheduler import MAX_BYTES, Item, LaneLoad, Scheduler, WorkShare

SHARES = {
    "a.realtime": WorkShare("a", 16, is_urgent=True),
    "a.batch": WorkShare("a", 16),
    "b.batch": WorkShare("b", 16),
}


def make_record(
    topic: str = "a.batch", partition: int = 0, offset: int = 0, value: bytes = b"1"
) -> Record:
    return Record(topic, partition, offset, 0, None, value, [])


def make_ahead(*records: Record, capacity: int = 64) -> Scheduler:
    """Weights are the numbers in the values."""
    ahead = Scheduler(capacity, weigh=lambda r: int(r.value or b"1"), share_of=SHARES.__getitem__)
    for record in records:
        ahead.take(record)
    return ahead


def begun(ahead: Scheduler) -> list[tuple[str, int, int]]:
    return [(i.record.topic, i.record.partition, i.record.offset) for i in ahead.begin()]


def test_urgent_work_begins_before_what_came_earlier() -> None:
    ahead = make_ahead(make_record("a.batch"), make_record("a.realtime"))

    order = [topic for topic, _, _ in begun(ahead)]

    assert order == ["a.realtime", "a.batch"]


def test_partitions_of_a_lane_take_turns() -> None:
    ahead = make_ahead(
        *[make_record(partition=0, offset=n) for n in range(3)], make_record(partition=1)
    )

    order = [(partition, offset) for _, partition, offset in begun(ahead)]

    assert order == [(0, 0), (1, 0), (0, 1), (0, 2)]


def test_a_provider_that_hangs_fills_its_own_share_and_nobody_elses() -> None:
    ahead = make_ahead(*[make_record("a.batch", offset=n) for n in range(100)])
    begun(ahead)

    ahead.take(make_record("b.batch"))

    assert begun(ahead) == [("b.batch", 0, 0)]


def test_batch_work_leaves_an_eighth_to_realtime_and_the_other_way_round() -> None:
    ahead = make_ahead(*[make_record("a.batch", offset=n) for n in range(100)])
    assert len(begun(ahead)) == 14

    for n in range(100):
        ahead.take(make_record("a.realtime", offset=n))

    assert len(begun(ahead)) == 2


def test_a_record_heavier_than_the_room_runs_alone() -> None:
    ahead = make_ahead(make_record(value=b"99"), make_record(offset=1))

    assert begun(ahead) == [("a.batch", 0, 0)]


def test_a_partition_is_full_when_its_own_queue_is() -> None:
    ahead = make_ahead(
        *[make_record("a.batch", offset=n) for n in range(4)], make_record("b.batch"), capacity=4
    )

    assert ahead.full() == {("a.batch", 0)}


def test_a_partition_is_full_when_much_was_polled_of_it() -> None:
    record = Record("a.batch", 0, 0, 0, b"x" * MAX_BYTES, b"1", [])

    assert make_ahead(record).full() == {("a.batch", 0)}


def test_what_waits_is_forgotten_and_what_runs_is_not() -> None:
    ahead = make_ahead(*[make_record(offset=n) for n in range(20)])
    running = list(ahead.begin())

    ahead.forget()

    assert (ahead.waiting, ahead.running) == (0, len(running))
    for item in running:
        ahead.release(item)
    assert ahead.running == 0


def test_a_lane_with_nothing_running_is_let_in() -> None:
    assert LaneLoad(8, other=8).fits(5, is_urgent=True)
    assert not LaneLoad(8, urgent=1, other=7).fits(1, is_urgent=True)


Steps = Sequence[tuple[bool, str, int]]


@given(
    steps=st.lists(
        st.tuples(st.booleans(), st.sampled_from(sorted(SHARES)), st.integers(1, 40)), max_size=60
    )
)
def test_everything_taken_is_begun_once_and_nothing_is_lost(steps: Steps) -> None:
    ahead = make_ahead(capacity=32)
    running: list[Item] = []
    seen: list[int] = []

    for offset, (is_ended, topic, weight) in enumerate(steps):
        ahead.take(make_record(topic, offset=offset, value=b"%d" % weight))
        running += list(ahead.begin())
        if is_ended and running:
            ended = running.pop(0)
            ahead.release(ended)
            seen.append(ended.record.offset)
    while running or (running := list(ahead.begin())):
        ended = running.pop()
        ahead.release(ended)
        seen.append(ended.record.offset)

    assert sorted(seen) == list(range(len(steps)))
    assert (ahead.running, ahead.waiting) == (0, 0)


@given(weights=st.lists(st.integers(1, 64), max_size=40))
def test_a_lane_never_runs_more_than_its_room_but_for_one_record(weights: list[int]) -> None:
    ahead = make_ahead(
        *[make_record(offset=n, value=b"%d" % weight) for n, weight in enumerate(weights)],
        capacity=64,
    )

    running = list(ahead.begin())

    assert len(running) <= 1 or sum(item.weight for item in running) <= 14
