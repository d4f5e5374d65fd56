"""The ledger of one partition's accounts: it holds, captures and releases money, and reports it. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from crossdock.accounts.admission.headroom import Affordable, budget_wait_reason
from crossdock.accounts.admission.parcel_headroom import ParcelHeadroom
from crossdock.accounts.admission.rate_limits import (
    RateCounter,
    RateUnit,
    Startable,
    rate_wait_reason,
    reservations,
    startable,
)
from crossdock.accounts.admission.waitlist import grants
from crossdock.accounts.ledger.alerts import DueAlerts, LimitRefusal
from crossdock.accounts.ledger.booking import Booking, LedgerStores
from crossdock.accounts.ledger.credit_expiry import CreditExpiry
from crossdock.accounts.outputs import directory_record, entry_record, granted_record
from crossdock.accounts.state.account import AccountState
from crossdock.accounts.state.attribution import attribution_of, scopes_of, shares_of
from crossdock.accounts.state.cost_history import expected_costs
from crossdock.accounts.state.holds import HoldOwner, OpenHold
from crossdock.accounts.state.pages import (
    cost_history_page,
    entity_page,
    head_page,
    waiting_page,
)
from crossdock.accounts.state.waiting import WaitingLines
from crossdock.kernel.process.record import Page
from crossdock.kernel.runtime.shard.step_builder import StepBuilder
from crossdock.kernel.runtime.shard.throttle import Throttle
from crossdock_schemas.accounts.account import ApiKey
from crossdock_schemas.accounts.credit import Credit, Terms
from crossdock_schemas.accounts.directory import identity, listed_as
from crossdock_schemas.batches.batch import WaitReason
from crossdock_schemas.calls.usage import ChargeGroup
from crossdock_schemas.ids import AccountId, KeyId, hold_id
from crossdock_schemas.money import Units, to_usd
from crossdock_schemas.parcel.parcel import Hold, Parcel
from crossdock_schemas.windows import day_of

SHOW_MS = 1000
LONG_STOP_MS = (
    600_000  # after a deadline no call starts or runs; its end may be reported a little later
)


class ShownSpender(NamedTuple):
    """A key, an end user or a tag, whose totals the directory shows."""

    account: AccountId
    name: str


class LineCosts(NamedTuple):
    """Worst cases and expected costs of the lines that start, and the tokens that each line reserves."""

    worst_cases: Sequence[Units]
    expected: Sequence[Units]
    tokens: Sequence[int]


@dataclass(slots=True)  # why not frozen: that takes 2 us a parcel
class Admitted:
    """How many of a parcel's lines may start, from the first on, under which hold, and why not the next one."""

    count: int
    hold: Hold | None = None
    wait_reason: WaitReason | None = None
    unit: RateUnit = RateUnit.REQUESTS
    """Which rate limit binds, if the reason is one."""
    is_repeated: bool = False
    """The parcel was admitted before, and is on its way."""


class AccountsLedger:
    """Works on the partition's `states`, which commands change too."""

    def __init__(
        self, states: dict[AccountId, AccountState], terms: Terms, step: StepBuilder
    ) -> None:
        self._states = states
        self._terms = terms
        self._step = step
        self._alerts = DueAlerts(terms, step)
        self.books = LedgerStores(RateCounter(step), terms.unknown_s)
        self._bookings: dict[AccountId, Booking] = {}
        self._shown = Throttle[ShownSpender](SHOW_MS)
        self._credit_expiry = CreditExpiry(terms.expiry_notice_days, step)
        self._waiting: set[AccountId] = set()
        """Accounts that have waiting lines."""

    def owns(self, page: Page) -> bool:
        return any(store.owns(page) for store in self.books.stores)

    def restore(self, pages: Sequence[Page]) -> None:
        """Take over the pages that it owns. The states are complete already."""
        books = self.books
        books.booked.restore(pages)
        books.holds.restore(pages)
        books.attribution.restore(pages)
        books.rates.reserved.pages.restore(pages)
        for account, state in self._states.items():
            # the directory may not show the last totals yet
            for name in (*state.spenders, *sorted(state.attributed)):
                self._shown.note(ShownSpender(account, name))
            if state.waiting:
                self._waiting.add(account)
            self._credit_expiry.restore(state)

    def book(self, group: ChargeGroup, now_ms: int) -> None:
        """Capture what calls cost, and release the holds whose lines ended."""
        for charge in group.executions:
            is_new = self._booking(charge.account, now_ms).capture(charge)
            if is_new and charge.disputed_usd is not None:
                self._alerts.dispute(charge, charge.disputed_usd)
        for end in group.ended:
            self._booking(end.account, now_ms).release(end)

    def credit(self, credit: Credit, now_ms: int) -> None:
        """Book credits; the state has them already."""
        self._booking(credit.account, now_ms).credit(credit)
        self._credit_expiry.add(self._states[credit.account], credit)

    def count_holds(self, account: AccountId) -> None:
        """Add the new holds of this step to the totals of `account`."""
        if account in self._bookings:
            self._bookings[account].count_holds()

    def settle_credits(self, account: AccountId, now_ms: int) -> None:
        """Settle an account's credits in this step, also if nothing else is booked."""
        self._booking(account, now_ms)

    def expire(self, now_ms: int) -> None:
        """Release the holds that were not ended in time, and let credits lapse that are due."""
        for owner, hold_id_, hold in self.books.holds.take_stopped(now_ms // 1000):
            self._booking(owner.account, now_ms).expire(owner.key_id, hold_id_, hold)
        for account in self._credit_expiry.due(now_ms):
            self._booking(account, now_ms)
        for account, booking in self._bookings.items():
            self._settle(self._states[account], booking)

    def _settle(self, state: AccountState, booking: Booking) -> None:
        """Take what was spent from the credits that expire first, and let those lapse that are due."""
        booking.count_holds()
        for lapse in self._credit_expiry.settle(state, to_usd(booking.released)):
            booking.credit(lapse)
        booking.forget_headroom()
        booking.released = 0

    def admit(
        self,
        parcel: Parcel,
        worst_cases: Sequence[Units],
        now_ms: int,
        denied: Collection[int] = (),
    ) -> Admitted:
        """Hold the worst cases of the lines of `parcel`, as far as the headroom reaches.

        The first lines of a batch that fit may start, without those at the places `denied`, whose worst case is 0. The
        parcel's key exists.
        """
        booking = self._booking(parcel.account, now_ms)
        state = self._states[parcel.account]
        key = state.keys[parcel.key_id]
        identifier = hold_id(parcel.parcel_id)
        owner = HoldOwner(state.account, key.key_id)
        if self.books.holds.find(owner, identifier) is not None:
            return Admitted(0, is_repeated=True)
        headroom = booking.headroom(key, attribution_of(state, parcel))
        history = state.cost_history.get(parcel.model)
        expected = expected_costs(worst_cases, history) if headroom.is_fluid else worst_cases
        by_headroom = headroom.affordable(worst_cases, expected)
        tokens = reservations(key, parcel, denied)
        by_rate = startable(state, key, tokens)
        count = min(by_headroom.lines, by_rate.lines)
        if parcel.position is None and count < len(worst_cases):
            count = 0  # it cannot be split
        self._wait(state, parcel, worst_cases, tokens, count)
        places = [p for p in range(count) if p not in denied] if denied else range(count)
        hold = None
        if places:
            costs = LineCosts(worst_cases[:count], expected[:count], tokens)
            hold = self._hold(booking, parcel, headroom, costs, places)
        if count == len(worst_cases):
            return Admitted(count, hold)
        why = self._wait_reason(state, key, by_headroom, by_rate, tokens[count])
        return Admitted(count, hold, why, by_rate.unit)

    def is_limited(self, parcel: Parcel, now_ms: int) -> bool:
        """Return whether a budget or prepaid credits bind lines of `parcel`, whose key exists."""
        booking, state = self._booking(parcel.account, now_ms), self._states[parcel.account]
        key = state.keys[parcel.key_id]
        return booking.headroom(key, attribution_of(state, parcel)).is_limited

    def _hold(  # of which lines
        self,
        booking: Booking,
        parcel: Parcel,
        headroom: ParcelHeadroom,
        costs: LineCosts,
        places: Sequence[int],
    ) -> Hold:
        """Open the hold of the lines at `places`."""
        state = self._states[parcel.account]
        key, identifier = state.keys[parcel.key_id], hold_id(parcel.parcel_id)
        held = sum(costs.worst_cases)
        opened = OpenHold(
            held,
            spare=held - sum(costs.expected) if headroom.is_fluid else 0,
            open=sum([1 << place for place in places]),
            lost=0,
            day=day_of(state.now_ms),
            stop_s=(parcel.deadline_ms + LONG_STOP_MS) // 1000,
        )
        shares = shares_of(headroom.attribution, costs.worst_cases, costs.expected)
        booking.hold(key, identifier, opened, headroom, shares)
        tokens = [costs.tokens[place] for place in places]
        self.books.rates.start(state, key, identifier, tokens)
        if headroom.is_fluid:
            worst_cases = [costs.worst_cases[place] for place in places]
            self.books.teaching.add(identifier, parcel.model, worst_cases)
        return Hold(hold_id=identifier, is_limited=headroom.is_limited)

    def _wait_reason(  # which key, and what binds it
        self,
        state: AccountState,
        key: ApiKey,
        by_headroom: Affordable,
        by_rate: Startable,
        reserved: int,
    ) -> WaitReason:
        """Return why the next line, which reserves so many tokens, may not start."""
        headroom = by_headroom.headroom
        if headroom is None or by_rate.lines < by_headroom.lines:
            return rate_wait_reason(state, key, by_rate.unit, reserved)
        refusal = LimitRefusal(headroom.budget, by_headroom.cost)
        self._alerts.refuse(state.account, headroom.name, refusal)
        return budget_wait_reason(headroom, state.account, by_headroom.cost, state.now_ms)

    def _wait(
        self,
        state: AccountState,
        parcel: Parcel,
        worst_cases: Sequence[Units],
        tokens: Sequence[int],
        count: int,
    ) -> None:
        """Remember the waiting lines of a batch: those that are returned now, and those behind them."""
        if parcel.batch_id is None:
            return
        known = state.waiting.get((parcel.batch_id, parcel.model))
        returned = len(worst_cases) - count
        if not returned and not parcel.behind:
            return
        waiting = WaitingLines(
            account=state.account,
            batch_id=parcel.batch_id,
            model=parcel.model,
            key_id=parcel.key_id,
            worst_usd=to_usd(worst_cases[count] if returned else worst_cases[-1]),
            # the end user of a line behind them is not known yet
            marks=scopes_of(parcel.tags, parcel.user_of(parcel.lines[count]) if returned else ""),
            tokens=tokens[count] if returned else tokens[-1],
            lines=returned + parcel.behind,
        )
        if returned and known is not None:
            waiting = known.model_copy(update={"lines": known.lines + returned})
        state.waiting[waiting.batch_id, waiting.model] = waiting
        self._waiting.add(state.account)
        self._step.keep(waiting_page(waiting, is_over=False))

    def grant(self, now_ms: int) -> None:
        """Let waiting batches go on, as far as there is headroom again."""
        for account in list(self._waiting):
            state = self._states[account]
            state.go_on(now_ms)
            self.count_holds(account)
            for waiting, granted in list(grants(state)):
                self._step.send(granted_record(granted, state.now_ms))
                self._step.keep(waiting_page(waiting, is_over=True))
                del state.waiting[waiting.batch_id, waiting.model]
            if not state.waiting:
                self._waiting.discard(account)

    def show(self, now_ms: int) -> None:
        """Show the totals of keys, end users and tags in the directory: each once in SHOW_MS at most."""
        self._close()
        for account, spender in self._shown.due(now_ms):
            spending = self._states[account].spending(spender)
            name = listed_as(account, identity(spending))
            self._step.send(directory_record(name, spending, now_ms))
        self._credit_expiry.show(now_ms)

    def _booking(self, account: AccountId, now_ms: int) -> Booking:
        """Return the booking of `account`, open until its entries are written."""
        booking = self._bookings.get(account)
        if booking is None:
            state = self._states.setdefault(account, AccountState(account))
            state.go_on(now_ms)
            booking = self._bookings[account] = Booking(state, self.books)
        return booking

    def _close(self) -> None:
        """Write the entries of what was booked since the last call."""
        for account, booking in self._bookings.items():
            state = self._states[account]
            self._settle(state, booking)
            self._step.send(*map(entry_record, booking.entries()))
            for name in (*booking.touched, *booking.touched_scopes):
                self._shown.note(ShownSpender(account, name))
                self._step.keep(entity_page(state.spending(name)))
            for model in booking.learned:
                self._step.keep(cost_history_page(state.cost_history[model]))
            if booking.has_booked:
                self._step.keep(head_page(state))
            self._alert(state, booking.touched, booking.touched_scopes)
        self._bookings.clear()

    def _alert(
        self, state: AccountState, touched: Collection[KeyId], attributed: Collection[str]
    ) -> None:
        """Send the alerts that are due; `touched` and `attributed`: keys, and end users and tags, with other totals."""
        projects = {state.spenders[key_id] for key_id in touched}
        self._alerts.send(state, {state.account, *touched, *projects, *attributed})

    def finish(self) -> None:
        """Write what was booked since the last call, and the pages that changed."""
        self._close()
        for store in self.books.stores:
            self._step.keep(*store.finish())
