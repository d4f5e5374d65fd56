"""Lines leave as parcels within the limits; lines that shall not run end with a result each."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.batches.core.line_feeder import Line, cut, end_lines, make_parcel
from crossdock.batches.core.line_index import Span
from crossdock.batches.core.state import ModelLines
from crossdock_schemas.accounts.demands import Demands
from crossdock_schemas.codec import decode_envelope
from crossdock_schemas.ids import feed_parcel_id, line_request_id
from crossdock_schemas.parcel.parcel import MAX_INLINE_BYTES, BodyRef, Lane, Parcel, split_lines
from crossdock_schemas.parcel.result import Outcome, ResultGroup
from crossdock_schemas.pricing.worst_case import Ask
from support.builders import BATCH, NOW_MS, make_batch, make_line

NO_LOGS = Demands(zdr=True)


def make_lines(lengths: list[int | None]) -> list[Line]:
    """Return lines of these lengths; None is a line that goes by reference."""
    lines: list[Line] = []
    offset = 0
    for number, length in enumerate(lengths):
        size = MAX_INLINE_BYTES + 1 if length is None else length
        lines.append((Span(number, offset, size), None if length is None else b"x" * size))
        offset += size + 1
    return lines


@given(st.lists(st.none() | st.integers(1, 100_000), max_size=30), st.integers(1, 32))
def test_parcels_keep_order_and_limits(lengths: list[int | None], parcel_lines: int) -> None:
    lines = make_lines(lengths)

    groups = list(cut(lines, parcel_lines=parcel_lines))

    assert [line for group in groups for line in group] == lines
    for group in groups:
        assert 1 <= len(group) <= parcel_lines
        assert len(group) == 1 or all(raw is not None for _, raw in group)
        assert len(group) == 1 or sum(s.length + 1 for s, _ in group) <= MAX_INLINE_BYTES


@pytest.mark.parametrize(("last", "parcels"), [(0, 1), (1, 2)])
def test_a_parcel_ends_at_256_kib(last: int, parcels: int) -> None:
    half = MAX_INLINE_BYTES // 2 - 1

    groups = list(cut(make_lines([half, half + last]), parcel_lines=20))

    assert len(groups) == parcels


def test_lines_that_demand_different_things_part() -> None:
    spans = [Span(n, n * 4, 3, demands=NO_LOGS if n in {1, 2} else None) for n in range(4)]
    lines: list[Line] = [(span, b"one") for span in spans]

    groups = list(cut(lines, parcel_lines=20))

    assert [[span.line for span, _ in group] for group in groups] == [[0], [1, 2], [3]]
    demands = [
        decode_envelope(
            make_parcel(make_batch(), ModelLines("tern", 0, 9), group, NOW_MS, position=0).headers,
            Parcel,
        ).demands
        for group in groups
    ]
    assert demands == [None, NO_LOGS, None]


def test_a_parcel_carries_the_callers_bytes() -> None:
    lines: list[Line] = [(Span(4, 0, 3, Ask(3)), b"one"), (Span(7, 4, 3, Ask(4, 100, 2)), b"two")]

    record = make_parcel(make_batch(), ModelLines("tern", 0, 9), lines, NOW_MS, position=3)

    parcel = decode_envelope(record.headers, Parcel)
    assert split_lines(record.value or b"") == [b"one", b"two"]
    assert (parcel.lines, parcel.input_bytes, parcel.lane) == ((4, 7), 6, Lane.BATCH)
    assert parcel.parcel_id == feed_parcel_id(BATCH, 4)
    assert parcel.deadline_ms == make_batch().expires_at_ms
    assert (parcel.asks(), parcel.position) == ([Ask(3), Ask(4, 100, 2)], 3)
    assert record.topic == "requests"


def test_a_parcel_says_which_of_its_lines_may_call_tools() -> None:
    lines: list[Line] = [(Span(4, 0, 3, Ask(3)), b"one"), (Span(7, 4, 3, Ask(4, tools=1)), b"two")]

    with_tools = make_parcel(make_batch(), ModelLines("tern", 0, 9), lines, NOW_MS, position=3)
    without = make_parcel(make_batch(), ModelLines("tern", 0, 9), lines[:1], NOW_MS, position=3)

    assert decode_envelope(with_tools.headers, Parcel).tools == (0, 1)
    assert decode_envelope(without.headers, Parcel).tools == ()


def test_a_parcel_says_whom_its_lines_are_for_and_what_the_batch_is_tagged_with() -> None:
    lines: list[Line] = [(Span(4, 0, 3), b"one"), (Span(7, 4, 3, user="alice"), b"two")]
    batch = make_batch(metadata={"team": "search"})

    named = make_parcel(batch, ModelLines("tern", 0, 9), lines, NOW_MS, position=3)
    plain = make_parcel(make_batch(metadata=None), ModelLines("tern", 0, 9), lines[:1], NOW_MS, position=3)  # fmt: skip

    first, other = (decode_envelope(record.headers, Parcel) for record in (named, plain))
    assert ([first.user_of(line) for line in (4, 7)], first.tags) == (["", "alice"], {"team": "search"})  # fmt: skip
    assert (other.users, other.user_of(4), other.tags) == ((), "", {})


def test_a_large_line_goes_by_reference() -> None:
    lines: list[Line] = [(Span(4, 100, 300_000), None)]

    record = make_parcel(make_batch(), ModelLines("tern", 0, 9), lines, NOW_MS, position=3)

    parcel = decode_envelope(record.headers, Parcel)
    assert record.value == b""
    assert parcel.body_ref == BodyRef(path="input", start=100, length=300_000)


@pytest.mark.parametrize(
    ("outcome", "code"),
    [(Outcome.EXPIRED, "batch_expired"), (Outcome.CANCELLED, "batch_cancelled")],
)
def test_lines_that_shall_not_run_end_visibly(outcome: Outcome, code: str) -> None:
    lines: list[Line] = [(Span(n, 0, 10), make_line(n)) for n in (2, 5)]

    (record,) = end_lines(make_batch(), "tern", lines, outcome, partition=1, now_ms=NOW_MS)

    group = decode_envelope(record.headers, ResultGroup)
    outputs = [json.loads(line) for line in (record.value or b"").split(b"\n")]
    assert (record.topic, record.partition, record.key) == ("batches.results", 1, BATCH.encode())
    assert [(r.line, r.outcome, r.calls) for r in group.results] == [
        (2, outcome, 0),
        (5, outcome, 0),
    ]
    assert [output["error"]["code"] for output in outputs] == [code, code]
    assert [output["custom_id"] for output in outputs] == ["line-2", "line-5"]
    assert [output["id"] for output in outputs] == [line_request_id(BATCH, n) for n in (2, 5)]
    assert all(output["response"] is None for output in outputs)


def test_a_line_without_its_bytes_ends_all_the_same() -> None:
    (record,) = end_lines(
        make_batch(), "tern", [(Span(2, 0, 10), None)], Outcome.EXPIRED, partition=0, now_ms=NOW_MS
    )

    assert json.loads(record.value or b"")["custom_id"] == ""
