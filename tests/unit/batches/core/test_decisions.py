"""The core of the batches shard: what it decides, whatever comes in which order, and after any restart."""

from collections import Counter
from decimal import Decimal

import pytest

from crossdock.batches.core import publication
from crossdock.batches.core.background_results import (
    Fact,
    LinesRead,
    ReadLines,
    Rejected,
    Validate,
    Validated,
)
from crossdock.batches.core.decisions import READ_LINES
from crossdock.batches.core.line_index import Span
from crossdock_schemas.batches.batch import (
    Batch,
    BatchStatus,
    CancelAsked,
    Granted,
    LineError,
    LinesReturned,
    Part,
)
from crossdock_schemas.codec import decode_envelope
from crossdock_schemas.ids import BatchId, ExecutionId
from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.parcel.result import Outcome
from crossdock_schemas.tokens import Tokens
from support.builders import (
    BATCH,
    NOW_MS,
    make_group,
    make_result,
    make_submitted,
    make_wait_reason,
)
from unit.batches.shard import EXPIRED_MS, WINDOW, Shard, running, topics

OTHER = BatchId("batch_" + "9" * 32)


def test_a_new_batch_is_validated_once() -> None:
    shard = Shard({"tern": 3})

    shard.core.submit(make_submitted())
    shard.step()
    shard.core.submit(make_submitted())
    shard.step()

    assert shard.wanted == [Validate(BATCH)]
    assert shard.batch.status is BatchStatus.VALIDATING
    assert shard.core.open_batches == 1


def test_a_batch_cancelled_while_validated_still_names_its_prepared_lines() -> None:
    """They hold what the input held, and are deleted with it by this name; they outlived it."""
    shard = Shard({"tern": 3})
    shard.core.submit(make_submitted())
    shard.step()

    shard.core.cancel(CancelAsked(batch_id=BATCH, at_ms=NOW_MS), NOW_MS)
    shard.core.learn(Validated(BATCH, (("tern", 3),), prepared_path="batches/1/prepared"), NOW_MS)
    shard.step()

    assert shard.batch.status is BatchStatus.CANCELLED
    assert shard.batch.prepared_path == "batches/1/prepared"


def test_a_batch_submitted_again_goes_on_where_it_is() -> None:
    shard = running({"tern": 3})
    shard.work()
    shard.step()

    shard.core.submit(make_submitted())
    shard.step()
    shard.work()
    shard.step()

    assert shard.fed == [0, 1, 2]
    assert shard.batch.status is BatchStatus.IN_PROGRESS


def test_a_sound_input_is_fed_in_parcels() -> None:
    shard = running({"tern": 10})

    shard.work()
    shard.step()

    assert shard.fed == list(range(10))
    parcels = [r for r in shard.sent if r.topic == "requests"]
    assert len(parcels) == 3
    assert (shard.batch.status, shard.batch.total) == (BatchStatus.IN_PROGRESS, 10)


def test_an_unsound_input_fails_the_batch_and_feeds_nothing() -> None:
    shard = Shard({})
    shard.core.submit(make_submitted())
    shard.step()
    error = LineError(code="invalid_json_line", message="no", line=3)

    shard.core.learn(Rejected(BATCH, (error,)), NOW_MS)
    shard.step()

    assert (shard.batch.status, shard.batch.errors) == (BatchStatus.FAILED, (error,))
    assert shard.batch.failed_at_ms == NOW_MS
    assert shard.fed == []
    assert shard.core.open_batches == 0


def test_no_more_than_a_window_of_each_model_is_on_its_way() -> None:
    shard = running({"tern": 100, "gull": 100})

    for _ in range(5):
        shard.work()
        shard.step()
    assert Counter(shard.model_of(n) for n in shard.fed) == {"tern": WINDOW, "gull": WINDOW}

    shard.collect(range(WINDOW // 2))
    shard.step()
    shard.work()
    shard.step()

    assert Counter(map(shard.model_of, shard.fed)) == {"tern": WINDOW * 3 // 2, "gull": WINDOW}


def test_a_read_asks_for_a_bounded_number_of_lines() -> None:
    shard = running({"tern": 10_000}, window=5000)

    (wanted,) = shard.wanted

    assert isinstance(wanted, ReadLines)
    assert (wanted.start, wanted.count, wanted.whole) == (0, READ_LINES, False)


def test_a_batch_is_completed_when_every_line_is_done() -> None:
    shard = running({"tern": 3})
    shard.work()
    shard.step()

    shard.collect([0, 1])
    shard.collect([2], Outcome.FAILED)
    shard.step(NOW_MS + 5)

    batch = shard.batch
    assert batch.status is BatchStatus.COMPLETED
    assert (batch.completed, batch.failed, batch.completed_at_ms) == (2, 1, NOW_MS + 5)
    assert shard.core.open_batches == 0


def test_a_result_that_comes_again_changes_nothing() -> None:
    shard = running({"tern": 3})
    shard.work()

    first = shard.collect([1, 1, 2])
    again = shard.collect([2, 1])

    assert (first, again) == ([b"answer 1", b"answer 2"], [])
    assert shard.core.states[BATCH].completed == 2


def test_a_result_of_an_unknown_or_ended_batch_is_dropped() -> None:
    shard = running({"tern": 1})
    shard.work()
    shard.collect([0])
    shard.step()

    assert shard.collect([0]) == []
    assert shard.core.collect(make_group([make_result()], batch_id=None), [b""]).output == []


def test_tokens_and_cost_add_up() -> None:
    shard = running({"tern": 2})
    shard.work()
    results = [
        make_result(n, tokens=Tokens(input=10, output=n), cost_usd=Decimal("0.000000000001"))
        for n in (0, 1)
    ]

    shard.core.collect(make_group(results), [b"", b""])
    shard.step()

    assert shard.batch.tokens == Tokens(input=20, output=1)
    assert shard.batch.cost_usd == Decimal("0.000000000002")


def test_a_result_of_a_model_that_the_batch_has_not_is_counted_all_the_same() -> None:
    shard = running({"tern": 1})
    shard.work()

    shard.core.collect(make_group([make_result(0, model="other")]), [b""])
    shard.step()

    assert shard.batch.completed == 1


def test_cancel_ends_what_was_not_fed_and_waits_for_what_was() -> None:
    shard = running({"tern": WINDOW + 6})
    shard.work()
    shard.step()

    shard.core.cancel(CancelAsked(batch_id=BATCH, at_ms=NOW_MS), NOW_MS + 1)
    shard.step(NOW_MS + 1)
    shard.collect(range(WINDOW))
    shard.step(NOW_MS + 2)
    shard.work()
    shard.step(NOW_MS + 2)

    assert not shard.batch.status.is_final
    assert shard.ended == [(n, Outcome.CANCELLED) for n in range(WINDOW, WINDOW + 6)]

    shard.collect([line for line, _ in shard.ended], Outcome.CANCELLED)
    shard.step(NOW_MS + 3)
    assert shard.batch.status is BatchStatus.CANCELLED
    assert (shard.batch.completed, shard.batch.failed) == (WINDOW, 6)
    assert (shard.batch.cancelling_at_ms, shard.batch.cancelled_at_ms) == (NOW_MS + 1, NOW_MS + 3)


@pytest.mark.parametrize(
    "found", [Validated(BATCH, (("tern", 3),)), Rejected(BATCH, ())], ids=["sound", "not sound"]
)
def test_a_batch_cancelled_during_validation_is_cancelled_by_its_end(found: Fact) -> None:
    shard = Shard({"tern": 3})
    shard.core.submit(make_submitted())
    shard.step()

    shard.core.cancel(CancelAsked(batch_id=BATCH, at_ms=NOW_MS), NOW_MS)
    shard.core.learn(found, NOW_MS)
    shard.step()

    assert shard.batch.status is BatchStatus.CANCELLED
    assert shard.fed == []


def test_cancel_of_what_is_not_open_changes_nothing() -> None:
    shard = running({"tern": 1})
    shard.work()
    shard.collect([0])
    shard.step()

    shard.core.cancel(CancelAsked(batch_id=BATCH, at_ms=NOW_MS), NOW_MS)

    assert shard.step().pages == []


def test_when_the_window_is_over_unfed_lines_expire() -> None:
    shard = running({"tern": WINDOW + 2})
    shard.work()
    shard.step()
    shard.collect(range(WINDOW))

    shard.step(EXPIRED_MS)
    shard.work(EXPIRED_MS)
    shard.step(EXPIRED_MS)
    shard.collect([WINDOW, WINDOW + 1], Outcome.EXPIRED)
    shard.step(EXPIRED_MS + 1)

    assert shard.ended == [(WINDOW, Outcome.EXPIRED), (WINDOW + 1, Outcome.EXPIRED)]
    assert shard.batch.status is BatchStatus.EXPIRED
    assert shard.batch.expired_at_ms == EXPIRED_MS + 1


def test_one_millisecond_before_the_window_is_over_nothing_expires() -> None:
    shard = running({"tern": 2})

    shard.step(EXPIRED_MS - 1)

    assert shard.batch.status is BatchStatus.IN_PROGRESS


def test_lines_read_to_be_fed_are_not_ended_without_their_ids() -> None:
    shard = running({"tern": 1})
    (wanted,) = shard.wanted
    shard.wanted = []
    shard.core.cancel(CancelAsked(batch_id=BATCH, at_ms=NOW_MS), NOW_MS)

    shard.core.learn(LinesRead(BATCH, "tern", 0, ((Span(0, 0, 300_000), None),)), NOW_MS)
    shard.step()

    assert shard.ended == []
    (again,) = shard.wanted
    assert isinstance(wanted, ReadLines)
    assert isinstance(again, ReadLines)
    assert (wanted.whole, again.whole) == (False, True)


def test_lines_read_twice_are_fed_once() -> None:
    shard = running({"tern": 4})
    (wanted,) = shard.wanted
    fact = shard.carry_out(wanted)

    shard.core.learn(fact, NOW_MS)
    shard.core.learn(fact, NOW_MS)
    shard.step()

    assert shard.fed == [0, 1, 2, 3]


def test_a_validation_that_ends_twice_counts_once() -> None:
    shard = running({"tern": 4})
    shard.work()
    shard.step()

    shard.core.learn(Validated(BATCH, (("tern", 99),)), NOW_MS)
    shard.step()

    assert shard.batch.total == 4


def test_a_fact_of_an_ended_batch_is_dropped() -> None:
    shard = running({"tern": 1})
    shard.work()
    shard.collect([0])
    shard.step()

    shard.core.learn(Validated(BATCH, (("tern", 1),)), NOW_MS)

    assert shard.step().outgoing == []


def test_progress_is_published_four_times_a_second_and_the_end_at_once() -> None:
    shard = running({"tern": 10})
    shard.work()
    shard.step()
    shard.sent.clear()

    for line, at_ms in ((0, 1), (1, 100), (2, 250), (3, 300)):
        shard.collect([line])
        shard.step(NOW_MS + at_ms)
    assert topics(shard.sent) == {"batches.directory": 1}

    shard.collect(range(4, 10))
    shard.step(NOW_MS + 301)
    assert topics(shard.sent) == {"batches.directory": 2}


def test_parts_are_listed_and_their_file_appears_with_the_first() -> None:
    shard = running({"tern": 10})
    shard.work()
    shard.step()
    shard.sent.clear()

    for number in (1, 2):
        shard.core.add_part(BATCH, "output", Part(path=f"part-{number}", bytes=10, lines=1))
        shard.step(NOW_MS + number)

    assert topics(shard.sent)["files"] == 1
    assert shard.core.states[BATCH].to_batch().output_bytes == 20
    assert (BATCH + "/output/0").encode() in shard.pages


def test_an_ended_batch_leaves_one_page() -> None:
    shard = running({"tern": 2})
    shard.work()
    shard.step()
    shard.core.add_part(BATCH, "output", Part(path="part", bytes=10, lines=2))
    shard.collect([0, 1])
    shard.step()

    assert [key for key in shard.pages if key.startswith(BATCH.encode())] == [BATCH.encode()]
    shard.crash()
    assert shard.core.open_batches == 0
    assert shard.batch.output_bytes == 10


def test_after_a_crash_no_finished_or_fed_line_is_fed_again() -> None:
    shard = running({"tern": 12, "gull": 12})
    shard.work()
    shard.step()
    shard.collect([1, 3, 13])
    shard.step()

    shard.crash()
    shard.step()
    shard.work()
    shard.step()

    assert Counter(shard.fed) == Counter(range(24))
    assert shard.collect([1, 3, 13]) == []


def test_a_crash_during_validation_begins_it_again() -> None:
    shard = Shard({"tern": 2})
    shard.core.submit(make_submitted())
    shard.step()

    shard.crash()
    shard.step()

    assert shard.wanted == [Validate(BATCH)]


def test_what_comes_for_a_batch_that_ended_is_late() -> None:
    shard = running({"tern": 1})
    shard.collect([0])
    shard.step()
    returned = LinesReturned(
        batch_id=BATCH, model="tern", position=0, count=1, reason=make_wait_reason()
    )

    shard.core.take_back(returned)
    shard.core.grant(Granted(batch_id=BATCH, model="tern"))

    assert shard.step().outgoing == []
    assert shard.batch.status is BatchStatus.COMPLETED


def test_lines_that_came_back_are_told_of_and_fed_again_as_another_parcel() -> None:
    shard = running({"tern": 4})
    shard.work()
    shard.step()
    repeats = {1: ExecutionId("exec_1")}
    reason = make_wait_reason()
    returned = LinesReturned(batch_id=BATCH, model="tern", position=1, count=3, repeats=repeats, reason=reason)  # fmt: skip

    shard.core.take_back(returned)
    shard.step(NOW_MS + 1000)
    told = shard.batch.wait_reason
    shard.core.grant(Granted(batch_id=BATCH, model="tern", lines=2))
    shard.step(NOW_MS + 2000)
    shard.work()
    shard.step(NOW_MS + 3000)

    parcels = [decode_envelope(r.headers, Parcel) for r in shard.sent if r.topic == "requests"]
    assert told == reason
    assert [parcel.lines for parcel in parcels] == [(0, 1, 2, 3), (1, 2)]
    assert len({parcel.parcel_id for parcel in parcels}) == 2
    assert (parcels[1].position, parcels[1].behind, parcels[1].repeats) == (1, 1, repeats)
    assert shard.batch.models[0].waiting == 1


def test_a_batch_that_feeds_and_cannot_be_processed_fails_with_its_calls_cancelled() -> None:
    shard = running({"tern": 10})
    error = LineError(code="batch_not_processed", message="no")

    shard.core.learn(Rejected(BATCH, (error,)), NOW_MS)
    shard.step()

    assert (shard.batch.status, shard.batch.errors) == (BatchStatus.FAILED, (error,))
    assert topics(shard.sent)["cancels"] == 1
    shard.core.fail(BATCH, error, NOW_MS)  # it is not open any more
    shard.step()
    assert topics(shard.sent)["cancels"] == 1


def test_a_batch_whose_entry_no_record_takes_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    shard = running({"tern": 10})
    monkeypatch.setattr(publication, "MAX_ENTRY_BYTES", 10)

    shard.core.submit(make_submitted(batch_id=OTHER))
    shard.step()

    assert Batch.from_json(shard.pages[OTHER.encode()]).status is BatchStatus.FAILED
