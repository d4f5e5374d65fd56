"""No offset is committed past an unfinished record, whatever finishes first."""

from hypothesis import given
from hypothesis import strategies as st

from crossdock.kernel.runtime.pool.offset_tracker import OffsetTracker


@given(st.sets(st.integers(10, 60), min_size=1), st.randoms(use_true_random=False))
def test_what_may_be_committed_is_the_first_unfinished(taken: set[int], chance: object) -> None:
    offsets, order, done = OffsetTracker(10), sorted(taken), set[int]()
    for offset in order:
        offsets.taken(offset)
    finishing = list(order)
    chance.shuffle(finishing)  # type: ignore[attr-defined]  # hypothesis' Random

    for offset in finishing:
        offsets.done(offset)
        done.add(offset)
        left = [one for one in order if one not in done]
        assert offsets.safe == (left[0] if left else order[-1] + 1)
        assert len(offsets) == len([one for one in order if one >= offsets.safe])


def test_only_what_moved_is_committed() -> None:
    offsets = OffsetTracker(5)
    assert offsets.to_commit() is None

    offsets.taken(5)
    assert offsets.to_commit() is None
    offsets.done(5)
    assert offsets.to_commit() == 6

    offsets.committed(6)
    offsets.committed(4)
    assert offsets.to_commit() is None


def test_open_claims_begin_where_the_first_record_that_is_not_committed_was_claimed() -> None:
    offsets = OffsetTracker(0)
    for offset in range(4):
        offsets.taken(offset)
    assert offsets.claims_from(90) == 90

    for offset, position in ((0, 50), (1, 51), (2, 60)):
        offsets.mark(offset).claims_from = position
    offsets.done(1)
    assert offsets.claims_from(90) == 50

    offsets.done(0)
    assert (offsets.safe, offsets.claims_from(90)) == (2, 60)


def test_what_is_not_tracked_is_not_done() -> None:
    offsets = OffsetTracker(3)

    offsets.done(2)

    assert (offsets.safe, offsets.to_commit()) == (3, None)
