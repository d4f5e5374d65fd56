"""Within all documented limits no record is larger than its topic's bound, whatever characters its texts have."""

from itertools import cycle, islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.kernel.process.record import MAX_RECORD_BYTES
from crossdock_schemas.topics import TOPICS
from support.largest import MAKERS, WORST, topic_of

FEW = settings(max_examples=4, deadline=None)


def test_no_bound_is_above_what_a_producer_writes() -> None:
    assert max(topic.largest for topic in TOPICS) <= MAX_RECORD_BYTES


@pytest.mark.parametrize("name", MAKERS)
@FEW
@given(st.lists(st.sampled_from(WORST), min_size=1, max_size=3))
def test_the_largest_records_are_within_the_bound_of_their_topic(
    name: str, chars: list[str]
) -> None:
    made = MAKERS[name](lambda count: "".join(islice(cycle(chars), count)))

    over = [(r.topic, r.size) for r in made if r.size > topic_of(r.topic).largest]

    assert over == []
