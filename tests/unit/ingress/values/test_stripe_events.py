"""Stripe's events: believed only as they were signed, and lately; what is no payment is none."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.stripe_events import (
    MAX_CENTS,
    TOLERANCE_S,
    ForgedError,
    Ignored,
    Payment,
    read_stripe_event,
)
from support.builders import NOW_MS
from support.payments import SECRET, make_event, sign, signature

NOW_S = NOW_MS // 1000
PAYMENT = Payment("org_local", Decimal("105.50"), "stripe cs_test_1")  # type: ignore[arg-type]  # a NewType of str


def read(raw: bytes, header: str | None = None, *, now_s: int = NOW_S) -> Payment | Ignored:
    return read_stripe_event(raw, sign(raw, NOW_S) if header is None else header, SECRET, now_s)


def test_a_paid_session_is_a_payment_with_the_sessions_id() -> None:
    assert read(make_event()) == PAYMENT


def test_a_slow_payment_counts_when_it_has_succeeded_and_by_the_same_reference() -> None:
    begun = read(make_event(payment_status="unpaid"))
    done = read(make_event("checkout.session.async_payment_succeeded"))

    assert (begun, done) == (Ignored(), PAYMENT)


@pytest.mark.parametrize(
    "raw",
    [
        make_event("payment_intent.succeeded"),
        make_event("invoice.paid"),
        make_event(payment_status="no_payment_required", amount_total=0),
        b'{"type": "balance.available"}',
        b"{}",
    ],
    ids=["the same money by another name", "another event", "nothing to pay", "no data", "no type"],
)
def test_what_is_no_payment_counts_for_nothing(raw: bytes) -> None:
    assert read(raw) == Ignored()


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=1",
        f"v1={signature(make_event(), NOW_S)}",
        f"t={NOW_S}",
        f"t={NOW_S},v0={signature(make_event(), NOW_S)}",
        f"t={NOW_S},t={NOW_S},v1={signature(make_event(), NOW_S)}",
        f"t=now,v1={signature(make_event(), NOW_S)}",
        f"t=٣,v1={signature(make_event(), NOW_S)}",
        f"t={NOW_S},v1=",
        f"t={NOW_S},v1={'0' * 64}",
        f"t={NOW_S},v1=ünicode",
        f"t={NOW_S + 1},v1={signature(make_event(), NOW_S)}",
        sign(make_event(), NOW_S, "another secret"),
        sign(make_event(), NOW_S, ""),
    ],
    ids=[
        "nothing", "a time", "no time", "no signature", "another scheme", "two times", "no number",
        "another script", "empty", "wrong", "not ASCII", "another time", "another secret", "no secret",
    ],
)  # fmt: skip
def test_what_is_not_signed_is_not_believed(header: str) -> None:
    with pytest.raises(ForgedError) as caught:
        read(make_event(), header)

    assert (caught.value.status, caught.value.reason) == (400, "invalid_signature")


@given(st.integers(0, len(make_event()) - 1), st.integers(1, 255))
def test_a_body_of_which_one_byte_is_another_is_not_believed(place: int, flipped: int) -> None:
    raw = bytearray(make_event())
    raw[place] ^= flipped

    with pytest.raises(ForgedError):
        read(bytes(raw), sign(make_event(), NOW_S))


@pytest.mark.parametrize("off_s", [-TOLERANCE_S, 0, TOLERANCE_S])
def test_a_signature_is_good_for_a_while(off_s: int) -> None:
    assert read(make_event(), now_s=NOW_S + off_s) == PAYMENT


@pytest.mark.parametrize("off_s", [-TOLERANCE_S - 1, TOLERANCE_S + 1])
def test_an_old_signature_is_no_more_believed(off_s: int) -> None:
    with pytest.raises(ForgedError, match="300 s"):
        read(make_event(), now_s=NOW_S + off_s)


@pytest.mark.parametrize("others", [["0" * 64], [""], ["0" * 64, "1" * 64]])
@pytest.mark.parametrize("is_first", [True, False])
def test_one_good_signature_of_several_will_do(others: list[str], is_first: bool) -> None:
    """While a secret is rolled, Stripe signs with the old one too."""
    good = signature(make_event(), NOW_S)
    every = [good, *others] if is_first else [*others, good]

    header = ",".join([f"t={NOW_S}", *(f"v1={one}" for one in every)])

    assert read(make_event(), header) == PAYMENT


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b'"paid"'])
def test_a_signed_body_that_is_no_object_is_refused(raw: bytes) -> None:
    with pytest.raises(RefusedError, match="could not parse"):
        read(raw)


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({"currency": "eur"}, "data.object.currency"),
        ({"currency": None}, "data.object.currency"),
        ({"amount_total": None}, "data.object.amount_total"),
        ({"amount_total": 0}, "data.object.amount_total"),
        ({"amount_total": -1}, "data.object.amount_total"),
        ({"amount_total": True}, "data.object.amount_total"),
        ({"amount_total": 1.5}, "data.object.amount_total"),
        ({"amount_total": MAX_CENTS + 1}, "data.object.amount_total"),
        ({"metadata": None}, "data.object.metadata.organization_id"),
        ({"metadata": {}}, "data.object.metadata.organization_id"),
        ({"metadata": {"organization_id": 7}}, "data.object.metadata.organization_id"),
        ({"metadata": {"organization_id": ""}}, "data.object.metadata.organization_id"),
        ({"id": None}, "data.object.id"),
        ({"id": "c" * 249}, "data.object.id"),
    ],
)
def test_a_payment_that_cannot_be_booked_says_why(session: dict[str, Any], param: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read(make_event(**session))

    assert (caught.value.status, caught.value.param) == (400, param)
    assert not isinstance(caught.value, ForgedError)


@pytest.mark.parametrize("data", [b"7", b"{}", b'{"object": []}'])
def test_a_payment_of_nothing_is_refused(data: bytes) -> None:
    raw = b'{"type": "checkout.session.completed", "data": %s}' % data

    with pytest.raises(RefusedError, match="Invalid type for 'data"):
        read(raw)


@pytest.mark.parametrize("is_live", [False, "false", 0, None])
def test_a_payment_of_the_test_mode_is_credited_only_where_that_is_set(is_live: Any) -> None:
    """Issue 16: `livemode` false was credited."""
    event = json.loads(make_event()) | {"livemode": is_live}
    raw = json.dumps(event).encode()

    with pytest.raises(RefusedError) as caught:
        read_stripe_event(raw, sign(raw, NOW_S), SECRET, NOW_S)

    assert (caught.value.status, caught.value.param) == (400, "livemode")
    assert isinstance(read_stripe_event(raw, sign(raw, NOW_S), SECRET, NOW_S, takes_tests=True), Payment)  # fmt: skip
