"""Requests per minute: never more in any minute than twice the limit, never more over time than the limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.accounts.core import AccountsCore
from crossdock.accounts.state.request_rate import MINUTE_MS, after, count_allowed, next_ms
from crossdock_schemas.accounts.control import KeyChange
from crossdock_schemas.ids import KeyId
from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.topics import BATCH_COMMANDS
from support.builders import make_parcel
from unit.accounts.builders import ACME, NOW_MS, PROJECT, ask_key, common, make_founded, make_key

APP = KeyId("key_app")


@given(
    st.integers(1, 5000),
    st.lists(st.tuples(st.integers(0, 90_000), st.integers(0, 200)), max_size=30),
)
def test_over_any_time_no_more_begin_than_a_full_bucket_and_what_flows_in(
    rpm: int, asked: list[tuple[int, int]]
) -> None:
    busy_ms, now_ms, begun = 0, NOW_MS, list[tuple[int, int]]()
    for wait_ms, wanted in asked:
        now_ms += wait_ms
        count = min(wanted, count_allowed(busy_ms, rpm, now_ms))
        if count:
            busy_ms = after(busy_ms, rpm, now_ms, count)
            begun.append((now_ms, count))

    for first, (start_ms, _) in enumerate(begun):
        total = 0
        for at_ms, count in begun[first:]:
            total += count
            assert total <= rpm + rpm * (at_ms - start_ms) / MINUTE_MS + 1e-6


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_the_next_one_may_begin_when_it_is_told(rpm: int, count: int) -> None:
    busy_ms = after(0, rpm, NOW_MS, min(count, rpm))

    at_ms = next_ms(busy_ms, rpm)

    assert count_allowed(busy_ms, rpm, at_ms) >= 1


def make_core(rpm: int | None = 10) -> AccountsCore:
    core = AccountsCore()
    core.apply(make_founded(), NOW_MS)
    core.apply(ask_key(make_key(APP, rpm=rpm)), NOW_MS)
    return core


def parcel(number: int, lines: int = 1, *, is_batch: bool = True) -> Parcel:
    fields = {"position": 0} if is_batch else {"batch_id": None, "request_id": "req_1"}
    return make_parcel(
        parcel_id=f"parcel_{number:032x}",
        account=ACME,
        project=PROJECT,
        key_id=APP,
        lines=tuple(range(lines)),
        **fields,
    )


def begin(core: AccountsCore, asked: Parcel, now_ms: int = NOW_MS) -> int:
    return core.ledger.admit(asked, [0] * len(asked.lines), now_ms).count


def test_what_is_too_fast_waits_or_is_told_when_to_come_back() -> None:
    core = make_core()

    assert begin(core, parcel(1, 8)) == 8
    assert begin(core, parcel(2, 8)) == 2
    said = core.ledger.admit(parcel(3, is_batch=False), [0], NOW_MS)

    assert said.wait_reason is not None
    assert (said.count, said.wait_reason.code) == (0, "rate_limit_exceeded")
    assert said.wait_reason.until_ms == NOW_MS + 6000
    core.finish()
    assert begin(core, parcel(4, is_batch=False), NOW_MS + 6000) == 1


def test_a_batch_goes_on_as_the_minute_passes() -> None:
    core = make_core()
    begin(core, parcel(1, 30))
    granted = []
    for at_ms in range(NOW_MS, NOW_MS + 13_000, 500):
        core.ledger.grant(at_ms)
        records = [r for r in core.finish().outgoing if r.topic == BATCH_COMMANDS.name]
        granted += [(at_ms - NOW_MS) for _ in records]

    assert granted == [6000]


def test_the_next_owner_lets_nobody_through_twice() -> None:
    first, second = make_core(), AccountsCore()
    begin(first, parcel(1, 10))
    second.restore(first.finish().pages)

    assert begin(second, parcel(2, 1)) == 0


@pytest.mark.parametrize(("rpm", "count"), [(0, 30), (20, 20)])
def test_a_limit_may_be_changed_or_taken_away(rpm: int, count: int) -> None:
    core = make_core()

    core.apply(KeyChange(**common(), key_id=APP, rpm=rpm), NOW_MS)

    assert begin(core, parcel(1, 30)) == count


def test_money_and_haste_bind_together() -> None:
    """The first of them that is reached is told."""
    core = make_core(rpm=5)

    assert begin(core, parcel(1, 3)) == 3
    assert begin(core, parcel(2, 3)) == 2
