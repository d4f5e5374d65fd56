"""The money of one partition's accounts: what is held, spent and free, who waits for it, who is told of it. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from crossdock.accounts.admission.headroom import Fit, tell_shortage
from crossdock.accounts.admission.rate_limits import Begun, Pace, Unit, begin, reserves, tell_haste
from crossdock.accounts.admission.waitlist import grants
from crossdock.accounts.ledger.alerts import alerts
from crossdock.accounts.ledger.booking import Booking
from crossdock.accounts.ledger.credit_expiry import Expiring
from crossdock.accounts.ledger.deduplication import Recent
from crossdock.accounts.ledger.hold_attribution import Marked
from crossdock.accounts.outputs import alert_record, directory_record, entry_record, granted_record
from crossdock.accounts.state.account import CREDITS, AccountState
from crossdock.accounts.state.attribution import marks_of, scopes_of, shares_of
from crossdock.accounts.state.cost_history import Asking, likely_of
from crossdock.accounts.state.holds import Held, Holds, Owner, to_units
from crossdock.accounts.state.pages import (
    alerted_page,
    entity_page,
    head_page,
    usual_page,
    waiting_page,
)
from crossdock.accounts.state.totals import NOTHING
from crossdock.accounts.state.waiting import Waiting
from crossdock.kernel.process.record import Page
from crossdock.kernel.runtime.shard.page_store import PageStore
from crossdock.kernel.runtime.shard.step_builder import StepBuilder
from crossdock.kernel.runtime.shard.throttle import Throttle
from crossdock_schemas.accounts.account import ApiKey
from crossdock_schemas.accounts.credit import Credit, Terms
from crossdock_schemas.accounts.directory import budget_id, identity, listed_as
from crossdock_schemas.batches.batch import WaitReason
from crossdock_schemas.calls.usage import ChargeGroup
from crossdock_schemas.ids import AccountId, KeyId, hold_id
from crossdock_schemas.parcel.parcel import Hold, Parcel
from crossdock_schemas.windows import day_of

TELL_MS = 1000
LONG_STOP_MS = (
    600_000  # after a deadline no call begins or goes on; its end may be told of a little later
)


class Spender(NamedTuple):
    """A key, an end user or a tag, whose sums the directory shows."""

    account: AccountId
    name: str


@dataclass(slots=True)  # why not frozen: that takes 2 us, for each parcel
class Admitted:
    """How many of a parcel's lines may begin, from the first on, under which hold; and why not the others."""

    count: int
    hold: Hold | None = None
    shortage: WaitReason | None = None
    unit: Unit = Unit.REQUESTS
    """What the limit a minute counts, if it is one that is short."""
    is_repeated: bool = False
    """It was admitted before, and is on its way."""


class Money:
    """Works on the partition's `states`, which it shares with whoever applies commands."""

    def __init__(
        self, states: dict[AccountId, AccountState], terms: Terms, step: StepBuilder
    ) -> None:
        self._states = states
        self._terms = terms
        self._step = step
        self._short: dict[AccountId, dict[str, str]] = {}
        """What had no room for what somebody wanted since the last step: budgets and credits, with their scopes."""
        self.recent = Recent()
        self.holds = Holds()
        self.marked = Marked()
        self._asking = Asking()
        self._pace = Pace(step)
        self._bookings: dict[AccountId, Booking] = {}
        self._shown = Throttle[Spender](TELL_MS)
        self._expiring = Expiring(terms.expiry_notice_days, step)
        self._waiting: set[AccountId] = set()
        """Accounts that have lines which wait."""
        self.stores: tuple[PageStore[Any, Any], ...] = (
            self.recent.chunks,
            self.recent.unknown,
            self.holds.pages,
            self.marked.pages,
            self._pace.reserved.pages,
        )

    def restore(self, pages: Sequence[Page]) -> None:
        """Take over the pages of the `stores`. The states are there already."""
        self.recent.restore(pages)
        self.holds.restore(pages)
        self.marked.restore(pages)
        self._pace.reserved.pages.restore(pages)
        for account, state in self._states.items():
            # the directory may be behind
            for name in (*state.spenders, *sorted(state.marks)):
                self._shown.note(Spender(account, name))
            if state.waiting:
                self._waiting.add(account)
            self._expiring.restore(state)

    def book(self, group: ChargeGroup, now_ms: int) -> None:
        """Book what calls cost, those that are not in the books yet; free the holds whose lines ended."""
        for row in group.executions:
            self._booking(row.account, now_ms).charge(row)
        for end in group.ended:
            self._booking(end.account, now_ms).end(end)

    def credit(self, credit: Credit, now_ms: int) -> None:
        """Book credits that came or went; they are among the state's."""
        self._booking(credit.account, now_ms).credit(credit)
        self._expiring.add(self._states[credit.account], credit)

    def count(self, account: AccountId) -> None:
        """Let the tallies of `account` count all that was set aside in this step."""
        if account in self._bookings:
            self._bookings[account].count()

    def look(self, account: AccountId, now_ms: int) -> None:
        """Look after an account's credits in this step."""
        self._booking(account, now_ms)

    def expire(self, now_ms: int) -> None:
        """Free the holds that nobody ended in time, and write off the credits whose time has come."""
        for owner, hold, held in self.holds.take_stopped(now_ms // 1000):
            self._booking(owner.account, now_ms).expire(owner.key_id, hold, held)
        for account in self._expiring.due(now_ms):
            self._booking(account, now_ms)
        for account, booking in self._bookings.items():
            self._settle(self._states[account], booking)

    def _settle(self, state: AccountState, booking: Booking) -> None:
        """Take what was spent from the credits that expire first, and write off those whose time has come."""
        booking.count()
        for lapse in self._expiring.settle(state, booking.freed_usd):
            booking.credit(lapse)
        booking.forget_rooms()
        booking.freed_usd = Decimal(0)

    def admit(
        self,
        parcel: Parcel,
        worst: Sequence[Decimal],
        now_ms: int,
        denied: Collection[int] = (),
    ) -> Admitted:
        """Set aside what the lines of `parcel` can cost at most (`worst`: USD, by line), as far as budgets reach.

        Of a batch the first lines that fit may begin, but for those at the places `denied`, whose worst case is 0. Its
        key must be there.
        """
        booking = self._booking(parcel.account, now_ms)
        state = self._states[parcel.account]
        key = state.keys[parcel.key_id]
        identifier = hold_id(parcel.parcel_id)
        if self.holds.find(Owner(state.account, key.key_id), identifier) is not None:
            return Admitted(0, is_repeated=True)
        marks = marks_of(state, parcel)
        rooms = booking.rooms(key, marks)
        likely = likely_of(worst, state.usual.get(parcel.model)) if rooms.is_fluid else worst
        paid = rooms.fit(worst, likely)
        tokens = reserves(key, parcel, denied)
        begun = begin(state, key, tokens)
        count = min(paid.lines, begun.lines)
        if parcel.position is None and count < len(worst):
            count = 0  # it cannot be split
        self._wait(state, parcel, worst, tokens, count)
        places = [p for p in range(count) if p not in denied] if denied else range(count)
        hold = None
        if places:
            hold = Hold(hold_id=identifier, is_limited=rooms.is_limited)
            most = worst[:count]
            usual = likely[:count] if rooms.is_fluid else most
            held = _held(most, usual, places, state.now_ms, parcel.deadline_ms)
            booking.hold(key, identifier, held, rooms, shares_of(marks, most, usual))
            self._pace.begin(state, key, identifier, [tokens[place] for place in places])
            if rooms.is_fluid:
                self._asking.remember(identifier, parcel.model, [worst[place] for place in places])
        if count == len(worst):
            return Admitted(count, hold)
        why = self._why_not(state, key, paid, begun, tokens[count])
        return Admitted(count, hold, why, begun.unit)

    def _why_not(  # who is stopped, by what
        self, state: AccountState, key: ApiKey, paid: Fit, begun: Begun, reserve: int
    ) -> WaitReason:
        """Return why the next line, which reserves so many tokens, may not begin."""
        room = paid.room
        if room is None or begun.lines < paid.lines:
            return tell_haste(state, key, begun.unit, reserve)
        scope = state.account if room.budget is None else room.budget.scope
        self._short.setdefault(state.account, {})[room.name] = scope
        return tell_shortage(room, state.account, paid.asked_usd, state.now_ms)

    def _wait(
        self,
        state: AccountState,
        parcel: Parcel,
        worst: Sequence[Decimal],
        tokens: Sequence[int],
        count: int,
    ) -> None:
        """Remember a batch whose lines wait: those that come back now, and those behind them."""
        if parcel.batch_id is None:
            return
        known = state.waiting.get((parcel.batch_id, parcel.model))
        back = len(worst) - count
        if not back and not parcel.behind:
            return
        waiting = Waiting(
            account=state.account,
            batch_id=parcel.batch_id,
            model=parcel.model,
            key_id=parcel.key_id,
            worst_usd=worst[count] if back else worst[-1],
            # of a line behind them nobody knows yet whom it is for
            marks=scopes_of(parcel.tags, parcel.user_of(parcel.lines[count]) if back else ""),
            tokens=tokens[count] if back else tokens[-1],
            lines=back + parcel.behind,
        )
        if back and known is not None:
            waiting = known.model_copy(update={"lines": known.lines + back})
        state.waiting[waiting.batch_id, waiting.model] = waiting
        self._waiting.add(state.account)
        self._step.keep(waiting_page(waiting, is_over=False))

    def grant(self, now_ms: int) -> None:
        """Tell the batches whose lines wait that there is money, if there is."""
        for account in list(self._waiting):
            state = self._states[account]
            state.go_on(now_ms)
            self.count(account)
            for waiting, granted in list(grants(state)):
                self._step.send(granted_record(granted, state.now_ms))
                self._step.keep(waiting_page(waiting, is_over=True))
                del state.waiting[waiting.batch_id, waiting.model]
            if not state.waiting:
                self._waiting.discard(account)

    def tell(self, now_ms: int) -> None:
        """Show in the directory what keys, end users and tags spent and hold: of each once in TELL_MS at most."""
        self._close()
        for account, spender in self._shown.due(now_ms):
            spend = self._states[account].spending(spender)
            name = listed_as(account, identity(spend))
            self._step.send(directory_record(name, spend, now_ms))
        self._expiring.tell(self._states, now_ms)

    def _booking(self, account: AccountId, now_ms: int) -> Booking:
        """Return the books of `account`, open until their entries are written."""
        booking = self._bookings.get(account)
        if booking is None:
            state = self._states.setdefault(account, AccountState(account))
            state.go_on(now_ms)
            booking = Booking(
                state,
                self.holds,
                self.marked,
                self.recent,
                self._asking,
                self._pace,
                unknown_s=self._terms.unknown_s,
            )
            self._bookings[account] = booking
        return booking

    def _close(self) -> None:
        """Write the entries of what was booked since the last call."""
        for account, booking in self._bookings.items():
            state = self._states[account]
            self._settle(state, booking)
            self._step.send(*map(entry_record, booking.entries()))
            for name in (*booking.touched, *booking.touched_marks):
                self._shown.note(Spender(account, name))
                self._step.keep(entity_page(state.spending(name)))
            for model in booking.learned:
                self._step.keep(usual_page(state.usual[model]))
            if booking.has_booked:
                self._step.keep(head_page(state))
            self._alert(state, booking.touched, booking.touched_marks)
        self._bookings.clear()

    def _alert(
        self, state: AccountState, touched: Collection[KeyId], marks: Collection[str]
    ) -> None:
        """Tell whoever watches of budgets and credits that are nearly, or all, used up."""
        short = self._short.pop(state.account, {})
        projects = {state.spenders[key_id] for key_id in touched}
        scopes = {state.account, *touched, *projects, *marks, *short.values()}
        for alert in alerts(state, scopes, short.keys(), self._terms):
            self._step.send(alert_record(alert))
            place = CREDITS if alert.window is None else budget_id(alert.scope, alert.window)
            self._step.keep(alerted_page(state, place))

    def finish(self) -> None:
        """Write what was booked since the last call, and the pages that changed."""
        self._close()
        for store in self.stores:
            self._step.keep(*store.finish())


def _held(
    worst: Sequence[Decimal],
    likely: Sequence[Decimal],
    places: Sequence[int],
    now_ms: int,
    deadline_ms: int,
) -> Held:
    """Return the hold of the lines at `places`."""
    rest = to_units(sum(worst, NOTHING))
    return Held(
        rest,
        spare=0 if likely is worst else rest - to_units(sum(likely, NOTHING)),
        open=sum([1 << place for place in places]),
        lost=0,
        day=day_of(now_ms),
        stop_s=(deadline_ms + LONG_STOP_MS) // 1000,
    )
