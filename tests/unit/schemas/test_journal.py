"""What a key spent, by UTC day, week from Monday, and month."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from crossdock_schemas.ids import AccountId, KeyId, ProjectId
from crossdock_schemas.journal import Spend


def ms(when: str) -> int:
    return int(datetime.fromisoformat(when).replace(tzinfo=UTC).timestamp() * 1000)


SUNDAY = ms("2026-11-29T23:59")
SPEND = Spend(account=AccountId("org_a"), project=ProjectId("proj_a"), key_id=KeyId("key_a"), at_ms=SUNDAY)  # fmt: skip


@pytest.mark.parametrize(
    ("now", "left"),
    [
        ("2026-11-29T23:59:59", ("1", "1", "1")),
        ("2026-11-30T00:00", ("0", "0", "1")),
        ("2026-12-01T00:00", ("0", "0", "0")),
        ("2027-11-29T12:00", ("0", "0", "0")),
    ],
    ids=["the same minute", "Monday", "next month", "next year"],
)
def test_a_window_that_ended_counts_nothing(now: str, left: tuple[str, ...]) -> None:
    spend = SPEND.plus(Decimal(1), 1, SUNDAY).as_of(ms(now))

    assert (spend.day_usd, spend.week_usd, spend.month_usd) == tuple(map(Decimal, left))
    assert spend.total_usd == 1


def test_a_week_begins_on_monday_and_not_before() -> None:
    saturday = ms("2026-11-28T12:00")

    spend = SPEND.model_copy(update={"at_ms": saturday}).plus(Decimal(1), 1, saturday)

    assert spend.as_of(SUNDAY).week_usd == 1
    assert spend.as_of(SUNDAY).day_usd == 0


def test_a_clock_that_goes_back_ends_no_window() -> None:
    spend = SPEND.plus(Decimal(1), 1, SUNDAY)

    assert spend.as_of(SUNDAY - 7 * 86_400_000) == spend
    assert spend.plus(Decimal(1), 1, SUNDAY - 7 * 86_400_000).day_usd == 2
