"""Ids sort by time, and are the same whenever a replay makes them again."""

from hypothesis import given
from hypothesis import strategies as st

from crossdock_schemas import ids
from crossdock_schemas.ids import BatchId, ParcelId, RequestId
from support.builders import BATCH, NOW_MS

MS = st.integers(0, 2**48 - 1)
BATCHES = MS.map(ids.make_batch_id)


@given(MS)
def test_an_id_tells_when_it_was_made(now_ms: int) -> None:
    made = [
        ids.make_file_id(now_ms),
        ids.make_upload_id(now_ms),
        ids.make_batch_id(now_ms),
        ids.make_request_id(now_ms),
    ]

    assert [ids.time_of(one) for one in made] == [now_ms] * 4
    assert len({one.rpartition("_")[2].rpartition("-")[2] for one in made}) == 4


@given(MS, MS)
def test_ids_sort_by_time(earlier: int, later: int) -> None:
    if earlier < later:
        assert ids.make_request_id(earlier) < ids.make_request_id(later)


@given(BATCHES, st.integers(0, 2_000_000))
def test_what_is_derived_is_the_same_again_and_keeps_its_parents_time(
    batch: BatchId, line: int
) -> None:
    derived = [
        ids.line_request_id(batch, line),
        ids.feed_parcel_id(batch, line),
        ids.output_file_id(batch),
        ids.error_file_id(batch),
    ]

    again = [
        ids.line_request_id(batch, line),
        ids.feed_parcel_id(batch, line),
        ids.output_file_id(batch),
        ids.error_file_id(batch),
    ]
    assert derived == again
    assert {ids.time_of(one) for one in derived} == {ids.time_of(batch)}
    assert len(set(derived)) == 4


def test_every_line_of_a_batch_has_its_own_id() -> None:
    assert len({ids.line_request_id(BATCH, line) for line in range(1000)}) == 1000


def test_a_call_repeated_by_another_worker_is_another_execution() -> None:
    request = RequestId("req_" + "0" * 32)

    made = {
        ids.execution_id(request, attempt, call, claim, None)
        for attempt in (1, 2)
        for call in (1, 2)
        for claim in ("a", "b")
    }

    assert len(made) == 8


def test_lines_that_leave_a_parcel_twice_get_two_ids() -> None:
    parcel = ParcelId("parcel_" + "0" * 32)

    first = ids.fallback_parcel_id(parcel, 2, 0)

    assert first != ids.fallback_parcel_id(parcel, 3, 0)
    assert first != ids.fallback_parcel_id(first, 2, 0)


def test_lines_that_part_when_admitted_get_ids_that_nothing_else_gets() -> None:
    parcel = ParcelId("parcel_" + "0" * 32)

    made = {ids.part_parcel_id(parcel, line) for line in range(3)}
    others = {ids.fallback_parcel_id(parcel, 1, line) for line in range(3)}
    others |= {ids.repeat_parcel_id(parcel, 1, line, is_lost=lost) for line in range(3) for lost in (False, True)}  # fmt: skip

    assert len(made | others | {parcel}) == 3 + 9 + 1


def test_one_idempotency_key_is_one_batch_within_an_account_and_a_day() -> None:
    day_ms = NOW_MS - NOW_MS % 86_400_000

    first = ids.derive_batch_id("org_a", "key", day_ms)

    assert first == ids.derive_batch_id("org_a", "key", day_ms + 86_399_999)
    assert first != ids.derive_batch_id("org_a", "key", day_ms + 86_400_000)
    assert first != ids.derive_batch_id("org_b", "key", day_ms)
    assert first != ids.derive_batch_id("org_a", "other", day_ms)


def test_a_foreign_id_has_no_time() -> None:
    assert ids.time_of("req_other") is None
    assert ids.time_of("req_" + "z" * 32) is None
