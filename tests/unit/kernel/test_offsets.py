"""No offset is committed past an unfinished record, whatever finishes first."""

from hypothesis import given
from hypothesis import strategies as st

from crossdock.kernel.offsets import Offsets


@given(st.sets(st.integers(10, 60), min_size=1), st.randoms(use_true_random=False))
def test_what_may_be_committed_is_the_first_unfinished(taken: set[int], chance: object) -> None:
    offsets, order, done = Offsets(10), sorted(taken), set[int]()
    for offset in order:
        offsets.taken(offset)
    finishing = list(order)
    chance.shuffle(finishing)  # type: ignore[attr-defined]  # hypothesis' Random

    for offset in finishing:
        offsets.done(offset)
        done.add(offset)
        left = [one for one in order if one not in done]
        assert offsets.safe == (left[0] if left else order[-1] + 1)
        assert offsets.open_count == len(left)


def test_only_what_moved_is_committed() -> None:
    offsets = Offsets(5)
    assert offsets.to_commit() is None

    offsets.taken(5)
    assert offsets.to_commit() is None
    offsets.done(5)
    assert offsets.to_commit() == 6

    offsets.committed(6)
    offsets.committed(4)
    assert offsets.to_commit() is None
