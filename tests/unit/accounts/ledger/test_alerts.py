"""Alerts: at 80 %, when nothing is left, and once for each window, limit and top-up; a refusal is another one."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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

    def prepay(self, credits_usd: int) -> list[AlertKind]:
        self.core.apply(PrepaymentSet(**common(), is_prepaid=True), self.now_ms)
        return self.credit(credits_usd)

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
REFUSED = [AlertKind.BUDGET_REFUSED]


def test_a_budget_is_told_of_at_80_percent_and_when_it_is_spent_once_each() -> None:
    watch = Watch()
    watch.limit(10)

    told = [watch.spend(usd) for usd in (7, 1, 1, 1, 1)]

    assert told == [[], NEARLY, [], USED, []]


def test_a_refusal_is_an_alert_of_its_own_kind_once_a_day() -> None:
    """Nothing is spent, so the budget is neither used nor nearly used."""
    watch = Watch()
    watch.limit(10)

    assert [watch.want(9), watch.want(2), watch.want(2)] == [[], REFUSED, []]
    watch.now_ms += DAY_MS
    assert [watch.want(11), watch.want(11)] == [REFUSED, []]


def test_the_figures_of_a_refusal_are_in_it() -> None:
    watch = Watch()
    watch.limit(10)
    watch.want(4)
    watch.spend(3)
    watch.calls += 1
    watch.core.ledger.admit(watch._parcel(), [units(8)], NOW_MS)

    (alert,) = watch.raised()

    assert (alert.kind, alert.scope, alert.window) == (AlertKind.BUDGET_REFUSED, APP, Window.DAILY)
    found = (alert.limit_usd, alert.spent_usd, alert.held_usd, alert.amount_usd)
    assert found == tuple(map(Decimal, (10, 3, 4, 8)))
    assert alert.until_ms == NOW_MS - NOW_MS % DAY_MS + DAY_MS


def test_all_levels_that_are_passed_at_once_are_told_in_order() -> None:
    watch = Watch()
    watch.limit(10)
    watch.prepay(20)

    assert watch.spend(12) == NEARLY + USED
    assert watch.spend(20) == [AlertKind.CREDITS_LOW, AlertKind.CREDITS_USED]


def test_a_disputed_report_is_told_once_a_day_for_each_provider() -> None:
    watch = Watch()
    rows = [watch.row(2).model_copy(update={"disputed_usd": Decimal(usd)}) for usd in (5, 7)]

    watch.core.ledger.book(ChargeGroup(executions=(rows[0], rows[0], rows[1])), NOW_MS)
    (alert,) = watch.raised()
    watch.core.ledger.book(ChargeGroup(executions=(rows[0], watch.row(1))), NOW_MS)

    assert watch.raised() == []
    assert (alert.kind, alert.provider) == (AlertKind.USAGE_DISPUTED, rows[0].provider)
    found = (alert.limit_usd, alert.spent_usd, alert.amount_usd)
    assert found == tuple(map(Decimal, (4, 16, 12)))


# each step: what it does, and with how many USD
STEPS = st.lists(st.tuples(st.sampled_from(["want", "spend"]), st.integers(0, 12)), max_size=12)


@given(STEPS, st.integers(1, 12), st.integers(1, 20))
def test_exactly_the_alerts_are_told_whose_thresholds_were_passed_in_order(
    steps: list[tuple[str, int]], limit: int, credits_usd: int
) -> None:
    watch = Watch()
    watch.limit(limit)
    told = watch.prepay(credits_usd)
    spent, held = 0, 0
    expected = [AlertKind.CREDITS_LOW] if credits_usd < TERMS.low_balance_usd else []

    for kind, usd in steps:
        told += getattr(watch, kind)(usd)
        if kind == "want":
            left = {"BUDGET": limit - spent - held, "CREDITS": credits_usd - spent - held}
            tightest = min(left, key=lambda name: left[name])
            if usd > left[tightest]:
                expected.append(AlertKind[f"{tightest}_REFUSED"])
            else:
                held += usd
        else:
            spent += usd
            expected += [
                alert
                for alert, threshold in (
                    (AlertKind.BUDGET_NEARLY_USED, -(-limit * 8 // 10)),
                    (AlertKind.BUDGET_USED, limit),
                    (AlertKind.CREDITS_LOW, max(credits_usd - 2, 0)),
                    (AlertKind.CREDITS_USED, credits_usd),
                )
                if spent >= threshold
            ]
    assert told == list(dict.fromkeys(expected))


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
    assert watch.want(6) == [AlertKind.CREDITS_REFUSED]


def test_who_needs_no_credits_is_told_of_none() -> None:
    watch = Watch()

    assert watch.spend(1000) == []
