"""What a key spent and holds, by UTC day, week from Monday, and month."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from crossdock_schemas.accounts.journal import Spend
from crossdock_schemas.ids import AccountId, KeyId, ProjectId

ONE, TWO = Decimal(1), Decimal(2)


def ms(when: str) -> int:
    return int(datetime.fromisoformat(when).replace(tzinfo=UTC).timestamp() * 1000)


def make_spend(when: str) -> Spend:
    """Return a spend of 1 USD, with 2 USD held, all of today."""
    return Spend(
        account=AccountId("org_a"),
        project=ProjectId("proj_a"),
        key_id=KeyId("key_a"),
        at_ms=ms(when),
        total_usd=ONE,
        day_usd=ONE,
        week_usd=ONE,
        month_usd=ONE,
        held_usd=TWO,
        held_day_usd=TWO,
        held_week_usd=TWO,
        held_month_usd=TWO,
        calls=1,
    )


SUNDAY = "2026-11-29T23:59"


@pytest.mark.parametrize(
    ("then", "now", "left"),
    [
        pytest.param(SUNDAY, "2026-11-29T23:59:59", (1, 1, 1), id="the same minute"),
        pytest.param("2026-11-28T12:00", SUNDAY, (0, 1, 1), id="the next day of the same week"),
        pytest.param(SUNDAY, "2026-11-30T00:00", (0, 0, 1), id="Monday"),
        pytest.param(SUNDAY, "2026-12-01T00:00", (0, 0, 0), id="next month"),
        pytest.param("2026-11-30T12:00", "2026-12-01T12:00", (0, 1, 0), id="next month, same week"),
        pytest.param(SUNDAY, "2027-11-29T12:00", (0, 0, 0), id="next year"),
    ],
)
def test_a_window_that_ended_counts_nothing(
    then: str, now: str, left: tuple[int, int, int]
) -> None:
    spend = make_spend(then).as_of(ms(now))

    held = [spend.held_day_usd, spend.held_week_usd, spend.held_month_usd]
    assert [spend.day_usd, spend.week_usd, spend.month_usd] == [ONE * part for part in left]
    assert held == [TWO * part for part in left]
    assert (spend.total_usd, spend.held_usd, spend.calls) == (ONE, TWO, 1)


def test_it_is_as_of_the_time_at_which_windows_ended() -> None:
    assert make_spend(SUNDAY).as_of(ms("2026-12-01T00:00")).at_ms == ms("2026-12-01T00:00")


def test_a_clock_that_goes_back_ends_no_window() -> None:
    spend = make_spend(SUNDAY)

    assert spend.as_of(ms("2026-11-22T12:00")) == spend
