"""Every line of a parcel gets an end, whatever its value is."""

import json

from hypothesis import given
from hypothesis import strategies as st

from crossdock.kernel.requests.rejection import SET_ASIDE, custom_id_of, give_up, refuse
from crossdock_schemas.calls.usage import UsageGroup
from crossdock_schemas.codec import decode_envelope
from crossdock_schemas.ids import HoldId
from crossdock_schemas.parcel.output_line import MAX_CUSTOM_ID
from crossdock_schemas.parcel.parcel import MAX_LINES, Hold, Parcel
from crossdock_schemas.parcel.result import Result, ResultGroup
from crossdock_schemas.topics import USAGE
from support.builders import NOW_MS, make_line, make_parcel

HOLD = Hold(hold_id=HoldId("hold_" + "1" * 32))


def ended(parcel: Parcel, value: bytes) -> list[Result]:
    records = refuse(parcel, value, SET_ASIDE, source="test", now_ms=NOW_MS)
    assert not any(record.is_too_large for record in records)
    groups = [decode_envelope(record.headers, ResultGroup) for record in records]
    lines = [line for record in records for line in (record.value or b"").split(b"\n")]
    results = [result for group in groups for result in group.results]
    assert [json.loads(line)["id"] for line in lines] == [result.request_id for result in results]
    return results


@given(
    st.binary(max_size=200) | st.lists(st.sampled_from([make_line(), b"{", b""])).map(b"\n".join)
)
def test_each_line_ends_once_whatever_the_value_is(value: bytes) -> None:
    results = ended(make_parcel(lines=(3, 4, 9)), value)

    assert [result.line for result in results] == [3, 4, 9]
    assert {result.error_code for result in results} == {"request_set_aside"}


def test_ids_of_lines_that_no_check_bounded_are_cut() -> None:
    line = json.dumps({"custom_id": "\U0001f600" * 30_000}, ensure_ascii=False).encode()

    results = ended(make_parcel(lines=tuple(range(MAX_LINES))), b"\n".join([line] * MAX_LINES))

    assert {len(result.custom_id) for result in results} == {MAX_CUSTOM_ID}


def test_a_parcel_that_is_given_up_ends_its_hold() -> None:
    *_, usage = give_up(make_parcel(hold=HOLD), b"", source="test", now_ms=NOW_MS)

    assert usage.topic == USAGE.name
    assert UsageGroup.from_json(usage.value or b"").ended[0].hold_id == HOLD.hold_id


def test_a_parcel_without_any_id_ends_its_hold_only() -> None:
    parcel = make_parcel(batch_id=None, hold=HOLD)

    assert [r.topic for r in give_up(parcel, b"", source="test", now_ms=NOW_MS)] == [USAGE.name]


@given(st.binary(max_size=50))
def test_a_custom_id_is_found_or_empty(line: bytes) -> None:
    assert isinstance(custom_id_of(line), str)
