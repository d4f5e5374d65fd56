"""The types of fields: amounts to the last digit, times, networks, tags; and what a refusal says of them."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.types import Amount, Networks, SentTime, SignedAmount, Tags, iso
from crossdock.ingress.values.validation import read_value
from crossdock_schemas.times import EARLIEST_MS, LATEST_MS
from crossdock_schemas.windows import Window


@pytest.mark.parametrize(
    ("said", "usd"),
    [
        ("12.50", "12.50"),
        (12.5, "12.5"),
        (0.1, "0.1"),
        (7, "7"),
        (0, "0"),
        ("0", "0"),
        (1e-6, "0.000001"),
        ("99999999999999.999999", "99999999999999.999999"),
        (1e13, "10000000000000.0"),
    ],
)
def test_an_amount_is_exactly_what_was_said(said: object, usd: str) -> None:
    assert str(read_value(Amount, said, "limit")) == usd


@pytest.mark.parametrize(
    "said",
    [
        "", "-1", -1, -0.01, "1e3", 1e-7, "0.0000001", "1.", ".5", "1_0", " 1", "1\n", "NaN", "٣",
        float("inf"), 1e300, "100000000000000", 10**400,
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused(said: object) -> None:
    with pytest.raises(RefusedError) as caught:
        read_value(Amount, said, "limit")

    refused = caught.value
    assert (refused.status, refused.param, refused.reason) == (400, "limit", "invalid_value")


@pytest.mark.parametrize("said", [True, False, [], {}])
def test_an_amount_is_a_number_or_a_text(said: object) -> None:
    with pytest.raises(RefusedError) as caught:
        read_value(Amount, said, "limit")

    assert caught.value.reason == "invalid_type"


@given(st.decimals(0, 10**13, places=6))
def test_any_amount_to_the_millionth_is_kept(usd: Decimal) -> None:
    assert read_value(Amount, f"{usd:f}", "limit") == usd


@pytest.mark.parametrize(
    ("said", "usd"), [("-12.50", "-12.50"), (-0.1, "-0.1"), (7, "7"), ("0", "0"), (-1e-6, "-0.000001")]
)  # fmt: skip
def test_a_signed_amount_may_be_below_0_and_is_exact(said: object, usd: str) -> None:
    assert str(read_value(SignedAmount, said, "amount_usd")) == usd


@pytest.mark.parametrize("said", ["--1", "-", "+1", "- 1", "-0.0000001", -1e20, float("-inf")])
def test_what_is_no_signed_amount_is_refused(said: object) -> None:
    with pytest.raises(RefusedError) as caught:
        read_value(SignedAmount, said, "amount_usd")

    assert (caught.value.param, caught.value.reason) == ("amount_usd", "invalid_value")


def test_a_window_is_one_of_four() -> None:
    assert [read_value(Window, window.value, "window") for window in Window] == list(Window)
    with pytest.raises(RefusedError, match="'total', 'daily', 'weekly', 'monthly'") as caught:
        read_value(Window, "yearly", "window")
    assert caught.value.param == "window"


@pytest.mark.parametrize(
    ("said", "ms"),
    [
        ("2027-01-31T12:00:00Z", 1_801_396_800_000),
        ("2027-01-31T13:00:00+01:00", 1_801_396_800_000),
        ("2027-01-31T12:00:00.25Z", 1_801_396_800_250),
    ],
)
def test_a_time_has_its_offset(said: str, ms: int) -> None:
    assert read_value(SentTime, said, "expires_at") == ms


@pytest.mark.parametrize("said", ["", "tomorrow", "2027-01-31T12:00:00", "2027-01-31", "2027-13-01T00:00:00Z"])  # fmt: skip
def test_another_time_is_refused_with_an_example(said: str) -> None:
    with pytest.raises(RefusedError, match="such as 2027-01-31T12:00:00Z") as caught:
        read_value(SentTime, said, "expires_at")

    assert (caught.value.param, caught.value.reason) == ("expires_at", "invalid_value")


@given(st.datetimes(timezones=st.timezones()))
def test_a_time_that_is_taken_can_be_shown_and_sent(at: datetime) -> None:
    """Kind 4 of issue 16: 9999-12-31T23:59:59-23:59 was taken, and no list with it could be shown."""
    try:
        ms = read_value(SentTime, at.isoformat(), "expires_at")
    except RefusedError:
        return

    assert read_value(SentTime, iso(ms), "expires_at") // 1000 == ms // 1000


@pytest.mark.parametrize(
    "said",
    [
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        "2199-12-31T23:59:59-00:01",
        "1999-12-31T23:59:59Z",
    ],
)
def test_a_time_out_of_bounds_is_refused(said: str) -> None:
    with pytest.raises(RefusedError, match="from 2000-01-01 to 2199-12-31"):
        read_value(SentTime, said, "expires_at")


@given(st.integers(-(10**30), 10**30))
def test_any_stored_time_can_be_shown(ms: int) -> None:
    assert read_value(SentTime, iso(max(ms, EARLIEST_MS)), "at") <= LATEST_MS


def test_a_network_is_shown_in_cidr_form() -> None:
    given = ["10.1.2.3/16", "192.0.2.1", "2001:db8::1/32"]

    assert read_value(Networks, given, "allowed_ips") == (
        "10.1.0.0/16", "192.0.2.1/32", "2001:db8::/32"
    )  # fmt: skip


@pytest.mark.parametrize("said", [["here"], ["10.0.0.0/33"], [""], ["10.0.0.1"] * 101])
def test_another_network_is_refused(said: list[str]) -> None:
    with pytest.raises(RefusedError) as caught:
        read_value(Networks, said, "allowed_ips")

    assert (caught.value.param, caught.value.reason) == ("allowed_ips", "invalid_value")


@pytest.mark.parametrize(
    ("tags", "param", "code"),
    [
        pytest.param([], "tags", "invalid_type", id="a list"),
        pytest.param({str(n): "" for n in range(17)}, "tags", "object_above_max_properties", id="17"),
        pytest.param({"k" * 65: ""}, "tags", "string_above_max_length", id="long key"),
        pytest.param({"k": "v" * 513}, "tags.k", "string_above_max_length", id="long value"),
        pytest.param({"k": None}, "tags.k", "invalid_type", id="null"),
    ],
)  # fmt: skip
def test_other_tags_are_refused_with_openais_codes(tags: Any, param: str, code: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read_value(Tags, tags, "tags")

    assert (caught.value.param, caught.value.reason) == (param, code)
