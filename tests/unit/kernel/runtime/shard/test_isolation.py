"""A record that makes a step fail is found, and every other record is applied once."""

from collections.abc import Collection, Sequence

from hypothesis import given
from hypothesis import strategies as st

from crossdock.kernel.process.record import Record
from crossdock.kernel.runtime.shard.isolation import (
    OWN_WORK,
    STUCK_LIMIT_S,
    Isolation,
    StepFailedError,
)


def make_record(offset: int, topic: str = "source") -> Record:
    return Record(topic, 0, offset, 0, b"", b"", [])


class Partition:
    """A partition that is opened again after each step that failed: its position is the committed one."""

    def __init__(self, poison: Collection[int], *, names_it: bool) -> None:
        self.isolation = Isolation()
        self.applied: list[int] = []
        self.aside: list[int] = []
        self.steps = 0
        self._poison, self._names_it = poison, names_it

    def run(self, records: Sequence[Record], size: int) -> None:
        position = 0
        while position < len(records):
            polled = records[position : position + size]
            try:
                for portion in self.isolation.portions(polled):
                    self._step(portion)
                    position += len(portion)
            except StepFailedError as failed:
                self.isolation.failed(failed)

    def _step(self, portion: Sequence[Record]) -> None:
        self.steps += 1
        sound = [record.offset for record in portion if not self.isolation.has(record)]
        for record in portion:
            if record.offset in sound and record.offset in self._poison:
                raise StepFailedError(
                    portion, record if self._names_it else None, KeyError("a bug of ours")
                )
        self.applied += sound
        self.aside += [r.offset for r in portion if self.isolation.error_of(r) is not None]
        self.isolation.committed(portion)


@given(
    st.integers(0, 40),
    st.sets(st.integers(0, 39), max_size=5),
    st.integers(1, 15),
    st.booleans(),
)
def test_all_but_the_records_at_fault_are_applied_once_and_in_order(
    count: int, poison: set[int], size: int, names_it: bool
) -> None:
    partition = Partition(poison, names_it=names_it)

    partition.run([make_record(offset) for offset in range(count)], size)

    assert partition.applied == [offset for offset in range(count) if offset not in poison]
    assert partition.aside == sorted(offset for offset in poison if offset < count)
    assert not partition.isolation.is_on


def test_a_state_that_fails_without_records_blames_none_and_is_tried_again_more_and_more_rarely() -> (
    None
):
    isolation, records = Isolation(), [make_record(0), make_record(1)]
    isolation.failed(StepFailedError(records, None, KeyError()))
    rests = []
    for _ in range(8):
        portion = next(iter(isolation.portions(records)))
        assert portion == ()
        isolation.failed(StepFailedError(portion, None, KeyError()))
        rests.append(isolation.rest_s)

    assert rests[:3] == [1.0, 2.0, 4.0]
    assert rests[-1] == STUCK_LIMIT_S
    assert not any(map(isolation.has, records))


def test_work_that_no_record_asked_for_blames_none() -> None:
    isolation, record = Isolation(), make_record(0)
    for _ in range(3):
        isolation.failed(StepFailedError([record], OWN_WORK, KeyError()))

    assert not isolation.has(record)
    assert isolation.rest_s == 4.0
