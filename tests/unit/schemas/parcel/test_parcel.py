"""A part of a parcel keeps what belongs to its lines, and where they lie under the hold."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock_schemas.calls.usage import HoldEnd, hold_end
from crossdock_schemas.ids import ExecutionId, HoldId
from crossdock_schemas.parcel.new_parcel import new_parcel
from crossdock_schemas.parcel.parcel import MAX_LINES, Hold, Parcel
from crossdock_schemas.pricing.worst_case import Ask
from support.builders import make_parcel

HOLD = Hold(hold_id=HoldId("hold_" + "1" * 32), is_limited=True)

FOUR, SEVEN, NINE = Ask(40, 0, 1), Ask(70, 7, 2, 1), Ask(90, 9, 3)


def make_three(**changes: object) -> Parcel:
    """Return a parcel of three lines that says everything of each."""
    values: dict[str, object] = {
        "lines": (4, 7, 9),
        "input_most": (40, 70, 90),
        "output_most": (0, 7, 9),
        "choices": (1, 2, 3),
        "tools": (0, 1, 0),
        "hold": HOLD,
    }
    return make_parcel(**(values | changes))


@st.composite
def split(draw: st.DrawFn) -> tuple[Parcel, list[int]]:
    """Return a parcel and some of its lines."""
    lines = draw(st.lists(st.integers(0, 999), min_size=1, max_size=MAX_LINES, unique=True))
    parcel = make_parcel(lines=tuple(sorted(lines)), choices=tuple(sorted(lines)), hold=HOLD)
    chosen = draw(st.lists(st.sampled_from(lines), min_size=1, unique=True))
    return parcel, chosen


def test_each_line_asks_for_its_own() -> None:
    assert make_three().asks() == [FOUR, SEVEN, NINE]


def test_what_is_not_said_of_lines_is_bounded_by_their_bytes() -> None:
    old = make_three(input_bytes=300, input_most=(), output_most=(), choices=(), tools=())

    assert old.asks() == [Ask(300, 0, 1)] * 3


@pytest.mark.parametrize("name", ["input_most", "output_most", "choices", "tools"])
def test_a_parcel_that_says_something_of_some_lines_only_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="zip"):
        make_three(**{name: (1, 2)}).asks()


@pytest.mark.parametrize(
    ("lines", "asks", "slots"),
    [
        pytest.param((4, 7, 9), [FOUR, SEVEN, NINE], (0, 1, 2), id="all"),
        pytest.param((7, 9), [SEVEN, NINE], (1, 2), id="all but the first"),
        pytest.param((9,), [NINE], (2,), id="the last"),
        pytest.param((9, 4), [NINE, FOUR], (2, 0), id="in another order"),
    ],
)
def test_a_part_has_what_belongs_to_its_lines(
    lines: Sequence[int], asks: list[Ask], slots: tuple[int, ...]
) -> None:
    part = make_three().part(lines)

    assert (part.lines, part.asks()) == (tuple(lines), asks)
    assert part.hold == HOLD.model_copy(update={"slots": slots})


def test_a_part_is_for_its_lines_users_and_has_the_wholes_tags() -> None:
    part = make_three(users=("alice", "", "bob"), tags={"team": "search"}).part([9, 7])

    assert (part.users, part.tags) == (("bob", ""), {"team": "search"})
    assert [part.user_of(line) for line in (7, 9)] == ["", "bob"]


def test_a_part_says_nothing_of_what_was_not_said() -> None:
    part = make_parcel(lines=(4, 7)).part([7])

    assert (part.input_most, part.output_most, part.choices) == ((), (), ())
    assert part.hold is None


def test_a_part_has_the_changes_that_are_asked_for() -> None:
    part = make_three().part([7], attempt=2, hold=None)

    assert (part.attempt, part.hold) == (2, None)
    assert part.parcel_id == make_three().parcel_id


@pytest.mark.parametrize("hold", [None, HOLD], ids=["no hold", "its own hold"])
def test_a_line_of_the_whole_lies_in_its_place(hold: Hold | None) -> None:
    assert [make_three(hold=hold).slot_of(line) for line in (4, 7, 9)] == [0, 1, 2]


def test_a_line_of_a_part_lies_where_it_lay_when_it_was_held() -> None:
    part = make_three().part([9, 7])

    assert [part.slot_of(line) for line in (7, 9)] == [1, 2]


def test_some_lines_of_a_part_end_in_the_places_of_the_whole() -> None:
    part = make_three().part([7, 9])

    end = hold_end(part, [9], is_unknown=True)

    assert end == HoldEnd(
        hold_id=HOLD.hold_id,
        account=part.account,
        key_id=part.key_id,
        slots=(2,),
        is_unknown=True,
    )


def test_what_is_not_held_has_no_end() -> None:
    with pytest.raises(ValueError, match="has no hold"):
        hold_end(make_parcel(), [0])


def test_a_line_of_another_parcel_is_refused() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        make_three().part([5])


@given(split(), st.data())
def test_a_part_of_a_part_lies_where_it_lay_in_the_whole(
    found: tuple[Parcel, list[int]], data: st.DataObject
) -> None:
    whole, chosen = found
    fewer = data.draw(st.lists(st.sampled_from(chosen), min_size=1, unique=True))

    part = whole.part(chosen).part(fewer)

    assert part == whole.part(fewer)
    assert part.hold is not None
    assert [whole.lines[slot] for slot in part.hold.slots] == fewer


def test_what_is_as_by_default_is_not_written() -> None:
    parcel = make_parcel(tags={"team": "search"}, hold=Hold(hold_id=HoldId("hold_1")))

    written = json.loads(parcel.to_json())

    assert written.keys().isdisjoint(("attempt", "repeats", "plan", "users", "behind"))
    assert written["tags"] == {"team": "search"}
    assert written["hold"] == {"hold_id": "hold_1"}
    assert Parcel.from_json(parcel.to_json()) == parcel


def test_new_parcels_share_nothing_and_have_every_field() -> None:
    owner = make_parcel()
    fields: dict[str, Any] = {
        "parcel_id": owner.parcel_id, "lane": owner.lane, "operation": owner.operation, "model": owner.model,
        "lines": owner.lines, "batch_id": owner.batch_id, "created_at_ms": owner.created_at_ms,
        "deadline_ms": owner.deadline_ms, "input_bytes": owner.input_bytes,
    }  # fmt: skip
    first, second = (new_parcel(owner, asks=[Ask(1)], users=[""], **fields) for _ in range(2))

    first.repeats[0] = ExecutionId("exec_1")
    first.tags["team"] = "search"

    assert (second.repeats, second.tags, second.tools, second.users) == ({}, {}, (), ())
    assert Parcel.from_json(second.to_json()) == second
