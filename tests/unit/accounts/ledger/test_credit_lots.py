"""Credits that expire: what expires first is spent first, and what is left is written off once, never what is held."""

from decimal import Decimal
from typing import Any

import pytest

from crossdock.accounts.commands.credits import MAX_LOTS
from crossdock.accounts.core import AccountsCore
from crossdock.accounts.ledger.ledger import LONG_STOP_MS, Admitted
from crossdock_schemas.accounts.alert import Alert, AlertKind
from crossdock_schemas.accounts.control import Change, CreditAsked, Credited, PrepaymentSet, Refusal
from crossdock_schemas.accounts.credit import CreditKind, Lots, Terms
from crossdock_schemas.accounts.journal import Entry, EntryKind, Ledger
from crossdock_schemas.calls.usage import CallOutcome, ChargeGroup, HoldEnd
from crossdock_schemas.ids import KeyId, derive_token, hold_id
from crossdock_schemas.money import to_usd
from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.pricing.prices import Cost
from crossdock_schemas.topics import ACCOUNT_ALERTS, ACCOUNT_DIRECTORY, ACCOUNT_JOURNAL
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
DAY_MS = 86_400_000
SOON, LATER = NOW_MS + 30 * DAY_MS, NOW_MS + 60 * DAY_MS


class Purse:
    """An organization that needs credits, and what became of them."""

    def __init__(self, *, is_prepaid: bool = True, notice_days: int = 7) -> None:
        self.terms = Terms(expiry_notice_days=notice_days, low_balance_usd=Decimal(0))
        self.core, self.pages = AccountsCore(self.terms), dict[bytes, Any]()
        self.entries, self.alerts, self.shown = list[Entry](), list[Alert](), list[Lots]()
        self.now_ms, self.calls = NOW_MS, 0
        self.core.apply(make_founded(), NOW_MS)
        self.core.apply(ask_key(make_key(APP)), NOW_MS)
        if is_prepaid:
            self.prepay()
        self.step()

    def prepay(self, *, is_prepaid: bool = True) -> None:
        self.core.apply(PrepaymentSet(**common(), is_prepaid=is_prepaid), self.now_ms)
        self.step()

    def credit(self, usd: object, end_ms: int | None = None, kind: CreditKind = CreditKind.GRANT) -> Change:  # fmt: skip
        self.calls += 1
        amount, reference = Decimal(str(usd)), f"credit {self.calls}"
        command = Credited(**common(), kind=kind, amount_usd=amount, reference=reference, expires_at_ms=end_ms)  # fmt: skip
        change = self.core.apply(command, self.now_ms)
        self.step()
        return change

    def step(self) -> None:
        """What the shard does in each step after the commands and the bookings."""
        money = self.core.ledger
        money.expire(self.now_ms)
        money.show(self.now_ms)
        step = self.core.finish()
        for page in step.pages:
            self.pages[page.key] = page
        by_topic = {name: [r.value or b"" for r in step.outgoing if r.topic == name] for name in (ACCOUNT_JOURNAL.name, ACCOUNT_ALERTS.name, ACCOUNT_DIRECTORY.name)}  # fmt: skip
        self.entries += map(Entry.from_json, by_topic[ACCOUNT_JOURNAL.name])
        self.alerts += map(Alert.from_json, by_topic[ACCOUNT_ALERTS.name])
        self.shown += [Lots.from_json(value) for value in by_topic[ACCOUNT_DIRECTORY.name] if b'"counted_usd"' in value]  # fmt: skip

    def restart(self) -> None:
        self.core = AccountsCore(self.terms)
        self.core.restore(self.pages.values())

    def wait_until(self, at_ms: int) -> None:
        self.now_ms = at_ms
        self.step()

    def hold(self, usd: object) -> Admitted:
        self.calls += 1
        said = self.core.ledger.admit(self._parcel(self.calls), [units(usd)], self.now_ms)
        self.step()
        return said

    def _parcel(self, number: int) -> Parcel:
        return make_parcel(
            parcel_id=f"parcel_{number:032x}",
            account=ACME,
            project=PROJECT,
            key_id=APP,
            deadline_ms=self.now_ms + DAY_MS,
            batch_id=None,
            request_id="req_1",
        )

    def spend(self, usd: object, number: int | None = None, **fields: Any) -> None:
        """A call costs so much, under hold `number` or none."""
        self.calls += 1
        row = make_usage(
            execution_id=f"exec_{derive_token('req_' + '0' * 32, self.calls)}",
            account=ACME,
            project=PROJECT,
            key_id=APP,
            cost=Cost(output=Decimal(str(usd))),
            claim="life-1",
            hold_id=None if number is None else hold_id(self._parcel(number).parcel_id),
            **fields,
        )
        self.core.ledger.book(ChargeGroup(executions=(row,)), self.now_ms)
        self.step()

    def end(self, number: int) -> None:
        hold = hold_id(self._parcel(number).parcel_id)
        end = HoldEnd(hold_id=hold, account=ACME, key_id=APP, slots=(0,))
        self.core.ledger.book(ChargeGroup(executions=(), ended=(end,)), self.now_ms)
        self.step()

    @property
    def left(self) -> Any:
        lots = self.core.states[ACME].lots
        return [] if lots is None else [(lot.expires_at_ms, lot.left_usd) for lot in lots.lots]

    @property
    def free(self) -> Any:
        return to_usd(self.core.states[ACME].credits_left())

    @property
    def lapses(self) -> Any:
        found = [entry for entry in self.entries if entry.kind is EntryKind.LAPSE]
        return [-p.amount_usd for entry in found for p in entry.postings if p.ledger is Ledger.CREDITS]  # fmt: skip


def test_what_expires_first_is_spent_first_and_what_never_does_last() -> None:
    purse = Purse()
    purse.credit(10)
    purse.credit(10, LATER)
    purse.credit(10, SOON)

    purse.spend(4)
    assert purse.left == [(SOON, 6), (LATER, 10)]
    purse.spend(8)
    assert purse.left == [(LATER, 8)]
    purse.spend(10)
    assert purse.left == []
    assert purse.free == 8


def test_credits_of_one_time_are_one_lot() -> None:
    purse = Purse()
    purse.credit(10, SOON)
    purse.spend(3)

    purse.credit(5, SOON, CreditKind.TOP_UP)

    assert purse.left == [(SOON, 12)]


def test_at_its_time_what_is_left_is_written_off_by_an_entry_once() -> None:
    purse = Purse()
    purse.credit(10, SOON)
    purse.credit(1)
    purse.spend("3.000000000003")
    purse.wait_until(SOON - 1)
    assert (purse.lapses, purse.free) == ([], Decimal("7.999999999997"))

    purse.wait_until(SOON)
    purse.restart()
    purse.wait_until(SOON + DAY_MS)

    assert purse.lapses == [Decimal("6.999999999997")]
    assert (purse.left, purse.free) == ([], 1)
    (entry,) = [entry for entry in purse.entries if entry.kind is EntryKind.LAPSE]
    sides = {posting.ledger: posting.amount_usd for posting in entry.postings}
    lapsed = Decimal("6.999999999997")
    assert sides == {Ledger.CREDITS: -lapsed, Ledger.LAPSED: lapsed}
    assert [p.expires_at_ms for p in entry.postings] == [SOON, None]
    assert [entry.number for entry in purse.entries] == list(range(1, len(purse.entries) + 1))


def test_after_a_crash_before_the_commit_the_same_is_written_off() -> None:
    purse = Purse()
    purse.credit(10, SOON)
    written = []
    for _ in range(2):
        core = AccountsCore(purse.terms)
        core.restore(purse.pages.values())
        core.ledger.expire(SOON + 5)
        written.append(
            [(record.topic, record.key, record.value) for record in core.finish().outgoing]
        )

    assert written[0] == written[1]
    topics = [topic for topic, _, _ in written[0]]
    assert topics.count(ACCOUNT_JOURNAL.name) == topics.count(ACCOUNT_DIRECTORY.name) == 1


def test_what_is_held_is_written_off_when_it_is_given_back() -> None:
    purse = Purse()
    purse.credit(10, SOON)
    purse.wait_until(SOON - 1000)
    purse.hold(6)
    held = purse.calls
    purse.wait_until(SOON)
    assert (purse.lapses, purse.left, purse.free) == ([4], [(SOON, 6)], 0)

    purse.spend(2, held)
    purse.end(held)

    assert (purse.lapses, purse.left, purse.free) == ([4, 4], [], 0)


def test_what_calls_gave_back_is_not_spent_by_others_and_is_written_off_together() -> None:
    """A lot has two write-offs at most, of however many calls it was held for."""
    purse = Purse()
    purse.credit(10, SOON)
    purse.wait_until(SOON - 1000)
    numbers = []
    for _ in range(3):
        purse.hold(3)
        numbers.append(purse.calls)
    purse.wait_until(SOON)
    for number in numbers[:2]:
        purse.end(number)

    assert (purse.lapses, purse.left, purse.free) == ([1], [(SOON, 3)], 0)
    assert purse.hold(1).wait_reason is not None
    purse.restart()
    purse.spend(1, numbers[2])
    purse.end(numbers[2])

    assert (purse.lapses, purse.left, purse.free) == ([1, 8], [], 0)


def test_of_several_lots_calls_are_held_for_from_the_one_that_expires_first() -> None:
    purse = Purse()
    purse.credit(4, SOON)
    purse.credit(10, SOON + 1)
    purse.wait_until(SOON - 1000)
    purse.hold(6)
    purse.wait_until(SOON + 1)

    assert (purse.lapses, purse.left, purse.free) == ([8], [(SOON, 4), (SOON + 1, 2)], 0)


def test_new_calls_are_held_for_from_what_has_not_expired() -> None:
    purse = Purse()
    purse.credit(10, SOON)
    purse.wait_until(SOON - 1000)
    purse.credit(5)
    purse.hold(6)
    purse.wait_until(SOON)

    assert purse.hold("5.01").count == 0
    assert purse.hold(5).count == 1
    assert purse.free == 0


def test_what_nobody_ended_is_written_off_after_the_long_stop() -> None:
    purse = Purse()
    purse.credit(10, SOON)
    purse.wait_until(SOON - 1000)
    purse.hold(6)
    purse.wait_until(SOON)
    purse.wait_until(SOON + DAY_MS + LONG_STOP_MS)

    assert (purse.lapses, purse.free) == ([4, 6], 0)


def test_what_an_own_provider_key_paid_for_is_given_back() -> None:
    purse = Purse()
    purse.credit(10, SOON)
    purse.wait_until(SOON - 1000)
    purse.hold(6)
    held = purse.calls
    purse.wait_until(SOON)
    purse.spend(6, held, is_byok=True)

    assert (purse.lapses, purse.left, purse.free) == ([4, 6], [], 0)


def test_expiry_makes_no_debt_where_more_was_spent_than_there_is() -> None:
    """A call cost more than was held; what comes later pays for it first."""
    purse = Purse()
    purse.credit(5)
    purse.spend(8)
    purse.credit(10, SOON)
    assert purse.left == [(SOON, 7)]

    purse.wait_until(SOON)

    assert (purse.lapses, purse.free) == ([7], 0)


def test_a_call_that_costs_more_than_was_held_takes_what_was_to_lapse() -> None:
    purse = Purse()
    purse.credit(10, SOON)
    purse.wait_until(SOON - 1000)
    purse.hold(3)
    first = purse.calls
    purse.hold(3)
    second = purse.calls
    purse.wait_until(SOON)
    purse.end(first)
    purse.spend(5, second)
    purse.end(second)

    assert purse.lapses == [4, 1]
    assert purse.free == 0


def test_what_calls_are_held_for_still_does_not_lapse_because_others_gave_back() -> None:
    """A call whose hold was over had cost 3 more, so less is there than is held."""
    purse = Purse()
    purse.credit(10, SOON)
    purse.wait_until(SOON - 1000)
    purse.hold(7)
    first = purse.calls
    purse.hold(3)
    second = purse.calls
    purse.spend(3)
    purse.wait_until(SOON)
    purse.end(first)
    assert (purse.lapses, purse.left, purse.free) == ([], [(SOON, 3)], 0)

    purse.spend(3, second)
    purse.end(second)

    assert (purse.lapses, purse.free) == ([4], 0)


@pytest.mark.parametrize("kind", [CreditKind.REFUND, CreditKind.ADJUSTMENT])
def test_what_is_taken_away_comes_from_what_never_expires_then_from_what_expires_last(
    kind: CreditKind,
) -> None:
    purse = Purse()
    purse.credit(10)
    purse.credit(10, SOON)
    purse.credit(10, LATER)

    purse.credit(-8, kind=kind)
    assert purse.left == [(SOON, 10), (LATER, 10)]
    purse.credit(-8, kind=kind)
    assert purse.left == [(SOON, 10), (LATER, 4)]


def test_what_a_correction_gives_back_never_expires_and_is_spent_next() -> None:
    purse = Purse()
    purse.credit(10, SOON)
    row = make_usage(
        execution_id=f"exec_{derive_token('req_' + '0' * 32, 9)}",
        account=ACME, project=PROJECT, key_id=APP, cost=Cost(output=Decimal(6)), claim="life-1",
        outcome=CallOutcome.UNKNOWN,
    )  # fmt: skip
    truth = row.model_copy(update={"outcome": CallOutcome.OK, "cost": Cost(output=Decimal(2))})
    for told in (row, truth):
        purse.core.ledger.book(ChargeGroup(executions=(told,)), purse.now_ms)
        purse.step()
    assert (purse.left, purse.free) == ([(SOON, 4)], 8)

    purse.spend(5)

    assert (purse.left, purse.free) == ([(SOON, 3)], 3)


def test_who_needs_no_credits_spends_none_and_loses_them_in_time() -> None:
    purse = Purse(is_prepaid=False)
    purse.spend(100)
    purse.credit(10, SOON)
    purse.spend(50)
    purse.hold(50)
    assert purse.left == [(SOON, 10)]

    purse.prepay()
    purse.spend(3)
    assert purse.left == [(SOON, 7)]
    purse.prepay(is_prepaid=False)
    purse.wait_until(SOON)

    assert purse.lapses == [7]


def test_alerts_come_some_days_before_and_at_the_time_once_each() -> None:
    purse = Purse(notice_days=7)
    purse.credit(100)
    purse.credit(10, SOON)
    purse.spend(3)
    purse.wait_until(SOON - 7 * DAY_MS - 1)
    assert purse.alerts == []

    purse.wait_until(SOON - 7 * DAY_MS)
    purse.restart()
    purse.wait_until(SOON - DAY_MS)
    purse.wait_until(SOON)
    purse.restart()
    purse.wait_until(SOON + DAY_MS)

    told: list[Any] = [(alert.kind, alert.amount_usd, alert.until_ms) for alert in purse.alerts]
    assert told == [
        (AlertKind.CREDITS_EXPIRING, 7, SOON),
        (AlertKind.CREDITS_EXPIRED, 7, SOON),
    ]
    assert {(alert.limit_usd, alert.spent_usd) for alert in purse.alerts} == {
        (Decimal(110), Decimal(3))
    }
    assert len({alert.alert_id for alert in purse.alerts}) == 2


def test_more_of_the_same_time_is_told_of_anew_and_nothing_of_what_was_spent() -> None:
    purse = Purse(is_prepaid=False)
    purse.credit(5, NOW_MS + DAY_MS)
    purse.credit(2, NOW_MS + DAY_MS)
    spent = Purse()
    spent.credit(5, SOON)
    spent.spend(5)
    spent.wait_until(SOON)

    assert [alert.amount_usd for alert in purse.alerts] == [5, 7]
    assert [alert for alert in spent.alerts if alert.until_ms is not None] == []


def test_the_directory_shows_what_is_left_once_a_second() -> None:
    purse = Purse()
    purse.credit(10, SOON)
    purse.spend(1)
    purse.spend(1)
    purse.wait_until(NOW_MS + 1000)
    purse.wait_until(NOW_MS + 5000)
    purse.restart()
    purse.step()

    assert [[lot.left_usd for lot in lots.lots] for lots in purse.shown] == [[10], [8], [8]]


@pytest.mark.parametrize(
    ("kind", "end_ms", "said"),
    [
        (CreditKind.GRANT, NOW_MS, "in the past"),
        (CreditKind.ADJUSTMENT, SOON, "Only a top_up or a grant"),
        (CreditKind.LAPSE, None, "credits lapse when they expire"),
    ],
    ids=["past", "adjustment", "lapse"],
)
def test_what_cannot_expire_is_refused(kind: CreditKind, end_ms: int | None, said: str) -> None:
    purse = Purse()

    change = purse.credit(1, end_ms, kind)

    assert change.refusal is Refusal.INVALID
    assert said in (change.reason or "")
    assert purse.left == []


def test_credits_expire_at_so_many_times_at_most() -> None:
    purse = Purse()
    for number in range(MAX_LOTS):
        grant = {"kind": CreditKind.GRANT, "amount_usd": 1, "expires_at_ms": SOON + number}
        purse.core.apply(Credited(**common(), **grant, reference=f"{number}"), NOW_MS)
    purse.step()

    too_many = purse.credit(1, SOON - 1)
    same = purse.credit(1, SOON)

    assert (too_many.refusal, same.refusal) == (Refusal.INVALID, None)
    assert len(purse.left) == MAX_LOTS


def test_the_operator_says_when_they_expire() -> None:
    core = AccountsCore()
    founded = make_founded()
    operator = founded.organization.model_copy(update={"is_operator": True})
    core.apply(founded.model_copy(update={"organization": operator}), NOW_MS)
    asked = CreditAsked(**common(), organization=ACME, kind=CreditKind.GRANT, amount_usd=5, reference="r", expires_at_ms=SOON)  # fmt: skip

    core.apply(asked, NOW_MS)

    forwarded = [Credited.from_json(r.value or b"") for r in core.finish().outgoing if b'"do":"credit"' in (r.value or b"")]  # fmt: skip
    assert [command.expires_at_ms for command in forwarded] == [SOON]
