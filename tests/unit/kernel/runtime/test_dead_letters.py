"""A record that cannot be read is kept as it was; a process that can read nearly none stops."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.cli.installation.dead_letters import collect, make_replay
from crossdock.kernel.process.clock import ManualClock
from crossdock.kernel.process.errors import ProcessError, TooManyDeadLettersError
from crossdock.kernel.process.record import Outgoing, Record
from crossdock.kernel.runtime.dead_letters import (
    LEAST,
    PART_BYTES,
    SHARE,
    DeadLetterLimit,
    DeadLetters,
    make_dead_letter,
)
from crossdock_schemas.codec import decode_envelope
from crossdock_schemas.dead_letter import DeadLetter

NOW_MS = 1_800_000_000_000


def make_record(
    key: bytes | None = b"key",
    value: bytes | None = b"not ours",
    headers: Sequence[tuple[str, bytes]] = (("ce_id", b"\xff\x00"),),
) -> Record:
    return Record("requests", 3, 41, NOW_MS, key, value, headers)


def as_kept(kept: Outgoing, offset: int) -> Record:
    return Record(kept.topic, 0, offset, NOW_MS, kept.key, kept.value, kept.headers)


@given(
    st.none() | st.binary(max_size=50),
    st.none() | st.binary(max_size=200),
    st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=20)), max_size=3),
)
def test_a_replay_sends_the_very_record_to_the_partition_that_it_lay_in(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    record = make_record(key=key, value=value, headers=headers)

    (kept,) = make_dead_letter("router", record, "why", NOW_MS)
    letter = collect([as_kept(kept, 7)])[7]
    again, _ = make_replay(letter, NOW_MS + 1)

    assert again == Outgoing("requests", key, value, headers, 3)


def test_a_dead_letter_says_where_it_lay_and_why_it_is_here() -> None:
    (kept,) = make_dead_letter("router", make_record(), "no envelope", NOW_MS)
    origin = collect([as_kept(kept, 0)])[0].origin

    assert (origin.stage, origin.reason, origin.at_ms) == ("router", "no envelope", NOW_MS)
    assert (origin.topic, origin.partition, origin.offset) == ("requests", 3, 41)


def test_what_was_replayed_says_so() -> None:
    kept = as_kept(make_dead_letter("router", make_record(), "why", NOW_MS)[0], 7)
    _, note = make_replay(collect([kept])[7], NOW_MS + 5)

    letters = collect([kept, as_kept(note, 8)])

    assert letters.keys() == {7}
    assert letters[7].replayed_ms == NOW_MS + 5


def large_records() -> list[Record]:
    """Records that one dead letter does not take: their bytes are doubled in part by base64."""
    return [
        make_record(value=bytes(range(256)) * 4000),
        make_record(headers=[("crossdock", b"{" * 800_000)], value=b"\n" * 100_000),
        make_record(key=b"k" * 900_000, value=None),
    ]


@pytest.mark.parametrize("record", large_records(), ids=["value", "headers", "key"])
def test_a_record_of_any_size_is_kept_whole_in_parts_that_each_fit(record: Record) -> None:
    kept = make_dead_letter("router", record, "why", NOW_MS)
    letters = collect([as_kept(part, number) for number, part in enumerate(kept, 5)])
    again, note = make_replay(letters[5], NOW_MS)

    assert len(kept) > 1
    assert not any(part.is_too_large for part in [*kept, note])
    assert letters.keys() == {5}
    assert again == Outgoing("requests", record.key, record.value, list(record.headers), 3)


def test_parts_of_a_stage_that_was_killed_between_two_of_them_are_no_letter() -> None:
    first, *rest = make_dead_letter(
        "router", make_record(value=b"x" * 2 * PART_BYTES), "why", NOW_MS
    )
    other = make_dead_letter("metering", make_record(value=b"x" * 2 * PART_BYTES), "why", NOW_MS)
    sent = [first, *other, first, *rest]

    letters = collect([as_kept(part, number) for number, part in enumerate(sent)])

    assert sorted(letters) == [1, 1 + len(other)]
    assert [letters[number].origin.stage for number in sorted(letters)] == ["metering", "router"]


def test_a_letter_that_an_older_version_cut_cannot_be_replayed() -> None:
    (kept,) = make_dead_letter("router", make_record(), "why", NOW_MS)
    letter = collect([as_kept(kept, 0)])[0]
    letter.origin = letter.origin.model_copy(update={"cut_bytes": 1})

    with pytest.raises(ProcessError, match="last 1 bytes"):
        make_replay(letter, NOW_MS)


def test_requests_that_ended_with_an_error_are_not_run_again() -> None:
    (kept,) = make_dead_letter("router", make_record(), "why", NOW_MS, is_answered=True)

    with pytest.raises(ProcessError, match="send them again as new requests"):
        make_replay(collect([as_kept(kept, 0)])[0], NOW_MS)


def test_records_that_could_be_read_count_for_no_limit() -> None:
    dead = DeadLetters("router", ManualClock())

    letters = [dead.set_aside(make_record(), KeyError("model")) for _ in range(2 * LEAST)]

    assert decode_envelope(letters[0][0].headers, DeadLetter).reason == "KeyError: 'model'"


@pytest.mark.parametrize(
    ("good", "bad", "passed"),
    [
        (0, LEAST - 1, False),
        (0, LEAST, True),
        (5, LEAST, True),
        (6, LEAST, False),
        (100, LEAST, False),
    ],
)
def test_the_limit_is_nearly_everything_of_many(good: int, bad: int, passed: bool) -> None:
    limit = DeadLetterLimit()
    for _ in range(good):
        limit.good()
    for _ in range(bad):
        limit.bad()

    assert limit.is_passed is passed


@given(st.lists(st.booleans(), max_size=300))
def test_a_limit_is_never_passed_while_more_than_a_tenth_is_good(seen: list[bool]) -> None:
    limit = DeadLetterLimit()
    for is_good in seen:
        limit.good() if is_good else limit.bad()
    window = seen[-100:]

    assert limit.is_passed == (
        window.count(False) >= LEAST and window.count(False) >= SHARE * len(window)
    )


def test_a_stage_that_can_read_next_to_nothing_stops_and_says_what_to_look_at() -> None:
    dead = DeadLetters("router", ManualClock())
    for _ in range(LEAST - 1):
        dead.take(make_record(), "why")

    with pytest.raises(TooManyDeadLettersError, match="crossdock dead-letters list"):
        dead.take(make_record(), "why")
