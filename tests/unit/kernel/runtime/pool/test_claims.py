"""A new owner reads the claims."""

from hypothesis import given
from hypothesis import strategies as st

from crossdock.kernel.runtime.pool.claims import ClaimsView, EarlierClaims, Start
from crossdock_schemas.calls.claim import CallStarted, ClaimNote, LinesEnded

TOPIC = "dispatch.first.batch"
NOW_MS = 1_800_000_000_000
LEASE_MS = 20_000


def note(
    claim: str,
    *,
    started: dict[int, int] | None = None,
    ended: tuple[int, ...] = (),
    worker: str = "another",
    offset: int = 7,
    at_ms: int = NOW_MS,
) -> ClaimNote:
    """Return a note about the record at `offset`; `started` holds the call numbers by line."""
    return ClaimNote(
        claim=claim,
        worker=worker,
        at_ms=at_ms,
        lease_until_ms=at_ms + LEASE_MS,
        started=tuple(
            CallStarted(topic=TOPIC, offset=offset, call=call, lines=(line,))
            for line, call in (started or {}).items()
        ),
        ended=(LinesEnded(topic=TOPIC, offset=offset, lines=ended),) if ended else (),
    )


def view_of(*notes: ClaimNote, worker: str = "me") -> ClaimsView:
    view = ClaimsView(worker, grace_ms=0)
    for position, each in enumerate(notes):
        view.apply(3, each, position)
    return view


def held_after(*notes: ClaimNote) -> EarlierClaims:
    earlier = view_of(*notes).find(TOPIC, 3, 7)
    assert earlier is not None
    return earlier


def claims_of(earlier: EarlierClaims, line: int) -> list[tuple[str, int]]:
    return [(start.claim, start.call) for start in earlier.lapsed(line)]


def test_a_call_whose_end_nobody_told_has_lapsed() -> None:
    earlier = held_after(note("a", started={0: 1, 1: 1}, ended=(1,)))

    assert claims_of(earlier, 0) == [("a", 1)]
    assert claims_of(earlier, 1) == []


def test_who_tells_of_an_end_tells_of_all_his_calls() -> None:
    earlier = held_after(
        note("a", started={0: 1}), note("a", started={0: 2}), note("a", ended=(0,))
    )

    assert claims_of(earlier, 0) == []


def test_who_tells_of_an_end_had_booked_what_others_began_before() -> None:
    earlier = held_after(
        note("a", started={0: 1}), note("b", started={0: 2}), note("b", ended=(0,))
    )

    assert claims_of(earlier, 0) == []


def test_a_zombies_end_tells_nothing_of_the_call_that_its_successor_began() -> None:
    """It paused, another worker took the line over and died during its call: that call gets a row too."""
    earlier = held_after(
        note("a", started={0: 1}), note("b", started={0: 2}), note("a", ended=(0,))
    )

    assert claims_of(earlier, 0) == [("b", 2)]
    assert set(earlier.ended) == {0}


def test_a_record_is_live_while_somebody_may_run_a_call_of_it() -> None:
    view = view_of(note("a", started={0: 1}))
    earlier = view.find(TOPIC, 3, 7)

    assert earlier is not None
    assert view.is_live(earlier, NOW_MS + LEASE_MS)
    assert not view.is_live(earlier, NOW_MS + LEASE_MS + 1)


def test_every_note_of_a_claim_renews_its_lease() -> None:
    view = view_of(note("a", started={0: 1}), note("a", at_ms=NOW_MS + LEASE_MS))

    assert view.has_live(NOW_MS + 2 * LEASE_MS)


def test_an_earlier_life_of_ours_holds_nothing() -> None:
    view = view_of(note("my earlier life", started={0: 1}, worker="me"))

    assert not view.has_live(NOW_MS)


def test_a_successor_who_runs_the_line_keeps_the_record_live() -> None:
    late = note("b", started={0: 2}, at_ms=NOW_MS + 60_000)
    view = view_of(note("a", started={0: 1}), late, note("a", ended=(0,)))

    assert view.has_live(NOW_MS + 60_000)


def test_a_repeat_names_the_call_of_another_worker_and_not_an_earlier_one_of_its_own() -> None:
    earlier = held_after(
        note("a", started={0: 1}), note("b", started={0: 2}), note("b", started={0: 3})
    )
    first, second, third = earlier.lapsed(0)

    assert earlier.repeated_by(0, first) is None
    assert earlier.repeated_by(0, second) == first
    assert earlier.repeated_by(0, third) == first


def test_a_call_that_its_own_worker_followed_was_refused() -> None:
    earlier = held_after(note("a", started={0: 1}), note("a", started={0: 2}))
    first, second = earlier.lapsed(0)

    assert earlier.was_followed(0, first)
    assert not earlier.was_followed(0, second)


def test_what_is_committed_is_forgotten() -> None:
    view = view_of(note("a", started={0: 1}, offset=7), note("a", started={0: 1}, offset=9))

    view.drop_before(TOPIC, 3, 8)

    assert view.find(TOPIC, 3, 7) is None
    assert view.claims_from(TOPIC, 3, end=5) == 1
    assert view.claims_from("dispatch.other.batch", 3, end=5) == 5


CLAIMS = st.sampled_from("abc")


@given(st.lists(st.tuples(CLAIMS, st.integers(1, 5)), max_size=8), st.sets(CLAIMS))
def test_lapsed_calls_are_in_order_and_never_of_who_told(
    begun: list[tuple[str, int]], told: set[str]
) -> None:
    starts = [Start(claim, call, NOW_MS + at) for at, (claim, call) in enumerate(begun)]
    earlier = EarlierClaims(0, {0: starts}, {0: told} if told else {})

    lapsed = earlier.lapsed(0)

    assert not {start.claim for start in lapsed} & told
    assert lapsed == [start for start in starts if start in lapsed]
    assert told or lapsed == starts
