"""Booking: holds, captures and releases of one account become journal entries and totals of each scope. Pure."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from crossdock.accounts.admission.parcel_headroom import ParcelHeadroom, parcel_headroom
from crossdock.accounts.admission.rate_limits import RateCounter
from crossdock.accounts.ledger.deduplication import Addition, BookedCalls
from crossdock.accounts.ledger.hold_attribution import HoldAttribution
from crossdock.accounts.ledger.postings import (
    EntrySums,
    PostingPlace,
    both_sides,
    credit_postings,
    parts_of,
)
from crossdock.accounts.state.account import AccountState, chain_of
from crossdock.accounts.state.attribution import (
    Attribution,
    HoldShare,
    attribution_of_call,
    share_of,
    whole,
)
from crossdock.accounts.state.cost_history import TeachingHolds
from crossdock.accounts.state.holds import HoldOwner, OpenHold, OpenHolds
from crossdock.kernel.runtime.shard.page_store import PageStore
from crossdock_schemas.accounts.account import ApiKey
from crossdock_schemas.accounts.credit import Credit, CreditKind
from crossdock_schemas.accounts.journal import Entry, EntryKind, Ledger, Posting
from crossdock_schemas.calls.usage import CallOutcome, Charge, HoldEnd
from crossdock_schemas.ids import HoldId, KeyId
from crossdock_schemas.money import Units
from crossdock_schemas.windows import day_of


@dataclass
class LedgerStores:
    """The stores that all bookings of a partition share."""

    rates: RateCounter
    unknown_s: int
    """How long a hold is kept after the last call under it ended in an unknown way. A worker presumed dead may only
    have been paused, and may still report the cost."""
    holds: OpenHolds = field(default_factory=OpenHolds)
    attribution: HoldAttribution = field(default_factory=HoldAttribution)
    booked: BookedCalls = field(default_factory=BookedCalls)
    teaching: TeachingHolds = field(default_factory=TeachingHolds)

    @property
    def stores(self) -> tuple[PageStore[Any, Any], ...]:
        return (
            self.booked.chunks,
            self.booked.unknown,
            self.holds.pages,
            self.attribution.pages,
            self.rates.reserved.pages,
        )


class BudgetedLines(NamedTuple):
    """Lines that the same budgets bind, as of a change of the account."""

    change: int
    key_id: KeyId
    attribution: Attribution


class Booking:
    """All that one step books for one account: at most one entry of each kind."""

    def __init__(self, state: AccountState, books: LedgerStores) -> None:
        self._state = state
        self._books = books
        self._sums: defaultdict[EntryKind, EntrySums] = defaultdict(EntrySums)
        self._credits: list[Credit] = []
        self._headroom: tuple[BudgetedLines, ParcelHeadroom] | None = None
        """The last one that was computed, until totals or credits change."""
        self._uncounted: dict[PostingPlace, tuple[Units, Units]] = {}
        """Held and spare amounts of new holds that the totals do not count yet."""
        self.has_booked = False
        self.released: Units = 0
        """Amounts that came back from holds, and did not go to credits."""
        self.touched: set[KeyId] = set()
        """Keys whose totals changed."""
        self.touched_scopes: set[str] = set()
        """End users and tags whose totals changed."""
        self.learned: set[str] = set()
        """Models whose cost history changed."""

    def credit(self, credit: Credit) -> None:
        """Add or remove credits."""
        self._credits.append(credit)

    def headroom(self, key: ApiKey, attribution: Attribution) -> ParcelHeadroom:
        """Return what binds lines of `key` with this attribution."""
        lines, known = BudgetedLines(self._state.number, key.key_id, attribution), self._headroom
        if known is None or known[0] != lines:
            self.count_holds()
            known = self._headroom = lines, parcel_headroom(self._state, key, attribution)
        return known[1]

    def forget_headroom(self) -> None:
        """Compute the headroom again next time: totals or credits changed."""
        self._headroom = None

    def count_holds(self) -> None:
        """Add the new holds to the account's totals; all else is added when it is booked."""
        if not self._uncounted:
            return
        uncounted, self._uncounted = self._uncounted, {}
        for place, (held, spare) in uncounted.items():
            self._add(EntryKind.HOLD, place, held=held, spare=spare)

    def hold(  # for which key, and how much
        self,
        key: ApiKey,
        hold_id: HoldId,
        hold: OpenHold,
        headroom: ParcelHeadroom,
        shares: tuple[HoldShare, ...] = (),
    ) -> None:
        """Open a hold for a parcel; `headroom` binds its lines now, and `shares` are its attribution.

        The totals count it later, with others. Until then the known headroom is reduced by it.
        """
        account = self._state.account
        self._books.holds.add(HoldOwner(account, key.key_id), hold_id, hold)
        if shares:
            self._books.attribution.add(account, hold_id, shares)
        for scopes, held, spare in shares or (whole(hold),):
            place = PostingPlace(key.project, key.key_id, "", hold.day, scopes=scopes)
            before = self._uncounted.get(place, (0, 0))
            self._uncounted[place] = before[0] + held, before[1] + spare
        self._sums[EntryKind.HOLD].count += hold.open.bit_count()
        if headroom.users:  # each of them has less by another amount
            self.forget_headroom()
        else:
            headroom.shared.hold(hold.held, hold.spare)

    def capture(self, charge: Charge) -> bool:
        """Book a call unless it was booked before (False); its hold gives up as much, as far as it covers it."""
        self.count_holds()
        state, hold_id = self._state, charge.hold_id
        owner = HoldOwner(state.account, charge.key_id)
        hold = None if hold_id is None else self._books.holds.find(owner, hold_id)
        if hold is None or hold_id is None:
            added = self._book(charge, day_of(state.now_ms), attribution_of_call(state, charge))
            return added is not None
        shares = self._books.attribution.find(state.account, hold_id)
        share = share_of(shares, charge.user) if shares else whole(hold)
        addition = self._book(charge, hold.day, share.scopes)
        if addition is not None:
            self._capture(charge, hold_id, hold, share, addition)
            self._learn(charge, hold_id, addition)
        return addition is not None

    def _book(self, charge: Charge, day: int, scopes: tuple[str, ...]) -> Addition | None:
        """Book what a call adds to the books; it counts on `day` and for `scopes` unless it was booked before."""
        added = self._books.booked.add(charge, day, scopes)
        if added is not None:
            calls = 0 if added.is_correction else 1
            place = PostingPlace(
                charge.project,
                charge.key_id,
                charge.provider,
                added.day,
                charge.is_byok,
                added.scopes,
            )
            self._add(_kind(added), place, spent=added.cost, count=1, calls=calls)
            self._books.rates.use(self._state, charge.key_id, charge.hold_id, added.tokens)
        return added

    def _capture(  # which hold pays, and for what
        self, charge: Charge, hold_id: HoldId, hold: OpenHold, share: HoldShare, added: Addition
    ) -> None:
        """Take the cost of a call from its share of its hold, as far as it covers it: the expected cost first."""
        captured = min(share.held, added.cost)
        if not captured:
            return
        held = share.held - captured
        left = share._replace(held=held, spare=min(share.spare, held))
        spare = left.spare - share.spare
        account = self._state.account
        changed = hold._replace(held=hold.held - captured, spare=hold.spare + spare)
        self._books.holds.put(HoldOwner(account, charge.key_id), hold_id, changed)
        self._books.attribution.put(account, hold_id, left)
        place = PostingPlace(charge.project, charge.key_id, "", added.day, scopes=share.scopes)
        self._add(_kind(added), place, held=-captured, spare=spare)
        if charge.is_byok:
            self.released += max(captured, 0)

    def _learn(self, charge: Charge, hold_id: HoldId, added: Addition) -> None:
        """Add a successful call to the cost history, if a fluid budget needs it."""
        taught = self._books.teaching.find(hold_id)
        if taught is not None and charge.outcome is CallOutcome.OK and not added.is_correction:
            self.learned.add(taught.model)
            self._state.cost_history_of(taught.model).learn(added.cost, taught.worst_case)

    def release(self, end: HoldEnd) -> None:
        """End lines of a hold, and release what is left after its last line. A repeated end changes nothing."""
        self.count_holds()
        owner = HoldOwner(self._state.account, end.key_id)
        hold = self._books.holds.find(owner, end.hold_id)
        if hold is None:
            return
        left = _after(hold, end, self._state.now_ms // 1000 + self._books.unknown_s)
        self._books.holds.put(owner, end.hold_id, left)
        ended = (hold.open & ~left.open).bit_count()
        self._books.rates.end(self._state, end.key_id, end.hold_id, left.open.bit_count())
        if left.open:
            self._sums[EntryKind.RELEASE].count += ended
        else:
            self._release(EntryKind.RELEASE, end.key_id, end.hold_id, hold, ended)

    def expire(self, key_id: KeyId, hold_id: HoldId, hold: OpenHold) -> None:
        """Release a hold that was not ended in time; it is no longer among the open ones."""
        self.count_holds()
        self._books.rates.end(self._state, key_id, hold_id, 0)
        self._release(EntryKind.EXPIRY, key_id, hold_id, hold, hold.open.bit_count())

    def _release(  # which hold, and why
        self, kind: EntryKind, key_id: KeyId, hold_id: HoldId, hold: OpenHold, lines: int
    ) -> None:
        self.released += hold.held
        shares = self._books.attribution.take(self._state.account, hold_id)
        for scopes, held, spare in shares or (whole(hold),):
            place = PostingPlace(self._state.spenders[key_id], key_id, "", hold.day, scopes=scopes)
            self._add(kind, place, held=-held, spare=-spare)
        self._sums[kind].count += lines

    def _add(  # what, where, how much
        self,
        kind: EntryKind,
        place: PostingPlace,
        *,
        spent: Units = 0,
        held: Units = 0,
        spare: Units = 0,
        count: int = 0,
        calls: int = 0,
    ) -> None:
        self.forget_headroom()
        sums = self._sums[kind]
        sums.count += count
        if spent:
            sums.spent[place] = sums.spent.get(place, 0) + spent
        if held:
            sums.held[place] = sums.held.get(place, 0) + held
        self._state.spenders.setdefault(place.key_id, place.project)
        root = self._state.roots.get(place.key_id)
        chain = () if root is None else (chain_of(root),)
        for scope in (self._state.account, place.project, place.key_id, *chain, *place.scopes):
            self._state.totals_of(scope).add(
                place.day,
                spent=spent,
                held=held,
                spare=spare,
                calls=calls,
                is_byok=place.is_byok,
            )
        self.touched.add(place.key_id)
        self.touched_scopes.update(place.scopes)

    def entries(self) -> list[Entry]:
        """Return the entries, with their numbers; an empty list if nothing was booked."""
        self.count_holds()
        found = self._credit_entries(is_lapse=False)
        for kind, sums in self._sums.items():
            postings = [
                *both_sides(Ledger.SPEND, Ledger.PROVIDER, sums.spent),
                *both_sides(Ledger.HELD, Ledger.AVAILABLE, sums.held),
            ]
            for part in parts_of(postings):
                found.append(self._entry(kind, sums.count, part))
                sums.count = 0  # of an entry in several parts, the first one counts the calls
        # why last: credits lapse that were neither spent nor held when all else was booked
        found += self._credit_entries(is_lapse=True)
        self._credits = []
        self._sums.clear()
        self.has_booked = bool(found or self.touched)
        return found

    def _credit_entries(self, *, is_lapse: bool) -> list[Entry]:
        return [
            self._entry(EntryKind(credit.kind.value), 0, credit_postings(credit))
            for credit in self._credits
            if (credit.kind is CreditKind.LAPSE) == is_lapse
        ]

    def _entry(self, kind: EntryKind, count: int, postings: tuple[Posting, ...]) -> Entry:
        state = self._state
        state.entries += 1
        return Entry(
            account=state.account,
            number=state.entries,
            at_ms=state.now_ms,
            kind=kind,
            change=state.number,
            executions=count,
            postings=postings,
        )


def _kind(added: Addition) -> EntryKind:
    return EntryKind.CORRECTION if added.is_correction else EntryKind.CAPTURE


def _after(hold: OpenHold, end: HoldEnd, unknown_until_s: int) -> OpenHold:
    """Return `hold` after `end`."""
    slots = sum(1 << slot for slot in set(end.slots)) & hold.open
    still = hold.open if end.is_unknown else hold.open & ~slots
    lost = (hold.lost | slots if end.is_unknown else hold.lost) & still
    is_over = lost == still  # no call begins any more; only reports of lost calls may come
    stop_s = min(hold.stop_s, unknown_until_s) if is_over else hold.stop_s
    return hold._replace(open=still, lost=lost, stop_s=stop_s)
