"""Alerts: at 80 %, when nothing is left, and once for each window, limit and top-up."""

from decimal import Decimal
from typing import Any

import pytest

from crossdock.accounts.core import AccountsCore
from crossdock_schemas.accounts.alert import Alert, AlertKind
from crossdock_schemas.accounts.control import BudgetChange, Credited, PrepaymentSet
from crossdock_schemas.accounts.credit import CreditKind, Terms
from crossdock_schemas.calls.usage import ChargeGroup, Usage
from crossdock_schemas.ids import KeyId, derive_token, hold_id
from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.pricing.prices import Cost
from crossdock_schemas.topics import ACCOUNT_ALERTS
from crossdock_schemas.windows import Window
from support.builders import make_parcel, make_usage
from unit.accounts.builders import (
    ACME,
    NOW_MS,
    PROJECT,
    ask_key,
    common,
    make_founded,
    make_key,
    units,
)

APP = KeyId("key_app")
TERMS = Terms(low_balance_usd=Decimal(3))
DAY_MS = 86_400_000


class Watch:
    """Accounts, and the alerts that they raised."""

    def __init__(self) -> None:
        self.core = AccountsCore(TERMS)
        self.core.apply(make_founded(), NOW_MS)
        self.core.apply(ask_key(make_key(APP)), NOW_MS)
        self.pages = list(self.core.finish().pages)
        self.calls = 0
        self.now_ms = NOW_MS

    def limit(self, limit: int, window: Window = Window.DAILY, scope: str = APP) -> None:
        command = BudgetChange(**common(), scope=scope, window=window, limit_usd=Decimal(limit))
        self.core.apply(command, self.now_ms)
        self.raised()

    def prepay(self, credits_usd: int) -> None:
        self.core.apply(PrepaymentSet(**common(), is_prepaid=True), self.now_ms)
        self.credit(credits_usd)

    def credit(self, usd: int) -> list[AlertKind]:
        fields: dict[str, Any] = {"kind": CreditKind.GRANT, "amount_usd": Decimal(usd)}
        self.core.apply(Credited(**common(), **fields, reference=f"at {self.calls}"), self.now_ms)
        return self.kinds()

    def want(self, usd: int) -> list[AlertKind]:
        self.calls += 1
        self.core.ledger.admit(self._parcel(), [units(usd)], self.now_ms)
        return self.kinds()

    def spend(self, usd: int) -> list[AlertKind]:
        self.core.ledger.book(ChargeGroup(executions=(self.row(usd),)), self.now_ms)
        return self.kinds()

    def row(self, usd: int) -> Usage:
        self.calls += 1
        return make_usage(
            execution_id=f"exec_{derive_token('req_' + '0' * 32, self.calls)}",
            account=ACME,
            project=PROJECT,
            key_id=APP,
            cost=Cost(output=Decimal(usd)),
            claim="life-1",
            hold_id=hold_id(self._parcel().parcel_id),
        )

    def _parcel(self) -> Parcel:
        return make_parcel(
            parcel_id=f"parcel_{self.calls:032x}", account=ACME, project=PROJECT, key_id=APP
        )

    def kinds(self) -> list[AlertKind]:
        return [alert.kind for alert in self.raised()]

    def raised(self) -> list[Alert]:
        step = self.core.finish()
        self.pages += step.pages
        records = [r for r in step.outgoing if r.topic == ACCOUNT_ALERTS.name]
        return [Alert.from_json(record.value or b"") for record in records]

    def restart(self) -> None:
        self.core = AccountsCore(TERMS)
        self.core.restore({page.key: page for page in self.pages}.values())


NEARLY, USED = [AlertKind.BUDGET_NEARLY_USED], [AlertKind.BUDGET_USED]


def test_a_budget_is_told_of_at_80_percent_and_when_it_is_spent_once_each() -> None:
    watch = Watch()
    watch.limit(10)

    told = [watch.spend(usd) for usd in (7, 1, 1, 1, 1)]

    assert told == [[], NEARLY, [], USED, []]


def test_what_finds_no_room_tells_that_the_budget_is_used() -> None:
    watch = Watch()
    watch.limit(10)

    assert [watch.want(9), watch.want(2), watch.want(2)] == [[], USED, []]


def test_the_figures_are_in_it() -> None:
    watch = Watch()
    watch.limit(10, scope=PROJECT)
    watch.core.ledger.book(ChargeGroup(executions=(watch.row(9),)), NOW_MS)

    (alert,) = watch.raised()

    assert (alert.scope, alert.window) == (PROJECT, Window.DAILY)
    assert (alert.limit_usd, alert.spent_usd) == (Decimal(10), Decimal(9))
    assert alert.until_ms == NOW_MS - NOW_MS % DAY_MS + DAY_MS


@pytest.mark.parametrize("change", ["the next day", "another limit"])
def test_another_window_or_limit_is_told_of_anew(change: str) -> None:
    watch = Watch()
    watch.limit(10)
    watch.spend(10)

    if change == "the next day":
        watch.now_ms += DAY_MS
        assert watch.spend(8) == NEARLY
    else:
        watch.limit(11)
        assert watch.spend(0) == NEARLY
        assert watch.spend(1) == USED


def test_it_is_not_told_again_after_a_restart() -> None:
    watch = Watch()
    watch.limit(10)
    watch.spend(8)
    watch.restart()

    assert watch.spend(1) == []


def test_credits_are_told_of_when_they_are_low_and_when_they_are_used() -> None:
    watch = Watch()
    watch.prepay(10)

    told = [watch.spend(usd) for usd in (6, 2, 1, 1)]

    assert told == [[], [AlertKind.CREDITS_LOW], [], [AlertKind.CREDITS_USED]]


def test_a_top_up_begins_anew_and_what_finds_no_credits_tells() -> None:
    watch = Watch()
    watch.prepay(10)
    watch.spend(10)

    assert watch.credit(5) == []
    assert watch.want(6) == [AlertKind.CREDITS_USED]


def test_who_needs_no_credits_is_told_of_none() -> None:
    watch = Watch()

    assert watch.spend(1000) == []
