"""The line index says where each line lies, and which lines one read can fetch."""

import struct
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from crossdock.batches.core.line_index import ENTRY_BYTES, Span, coalesce, index_path, pack, unpack
from crossdock_schemas.pricing.worst_case import MAX_CHOICES, MAX_TOKENS, Ask

SPANS = st.lists(
    st.builds(
        Span,
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**62),
        st.integers(0, 2**32 - 1),
        st.builds(
            Ask,
            st.integers(0, MAX_TOKENS),
            st.integers(0, MAX_TOKENS),
            st.integers(0, MAX_CHOICES),
            st.integers(0, 1),
            extra=st.just(0),
            kept=st.just(0),
        ),
        st.booleans(),
        st.booleans(),
        st.booleans(),
        st.just(""),
        st.none(),
        st.just(()),
    )
)


@given(SPANS)
def test_it_is_read_as_it_was_written(spans: list[Span]) -> None:
    raw = b"".join(pack(span) for span in spans)

    assert unpack(raw) == spans
    assert len(raw) == len(spans) * ENTRY_BYTES


def test_an_index_of_before_is_read_as_lines_that_say_nothing_more() -> None:
    """The highest bits were 0 in every entry, for no line asks for as many answers."""
    old = struct.pack("<IQIIIH", 1, 2, 3, 4, 5, MAX_CHOICES)

    assert unpack(old) == [Span(1, 2, 3, Ask(4, 5, MAX_CHOICES, 0))]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 30))), st.integers(0, 15))
def test_groups_keep_every_line_and_both_limits(sizes: list[tuple[int, int]], gap: int) -> None:
    spans, offset = [], 0
    for number, (before, length) in enumerate(sizes):
        spans.append(Span(number, offset + before, length))
        offset += before + length

    groups = list(coalesce(spans, gap=gap, limit=64))

    assert [span for group in groups for span in group] == spans
    for group in groups:
        assert len(group) == 1 or group[-1].offset + group[-1].length - group[0].offset <= 64
        for earlier, later in pairwise(group):
            assert later.offset - earlier.offset - earlier.length <= gap


def test_each_model_of_a_batch_has_its_own() -> None:
    assert index_path("batch_1", 2) == "batches/batch_1/index/2"
