"""What is held, what calls cost, what is free again: postings in the journal, and the sums of each scope. Pure."""

from collections import defaultdict
from decimal import Decimal
from typing import NamedTuple

from crossdock.accounts.admission.parcel_headroom import ParcelRooms, rooms_for
from crossdock.accounts.admission.rate_limits import Pace
from crossdock.accounts.ledger.deduplication import Recent, Taken
from crossdock.accounts.ledger.hold_attribution import Marked
from crossdock.accounts.ledger.postings import Place, Sums, both_sides, credit_postings, parts_of
from crossdock.accounts.state.account import AccountState
from crossdock.accounts.state.attribution import Marks, Share, marks_of_row, share_of, whole
from crossdock.accounts.state.cost_history import Asking
from crossdock.accounts.state.holds import Held, Holds, Owner, to_units, to_usd
from crossdock.accounts.state.totals import NOTHING
from crossdock_schemas.accounts.account import ApiKey
from crossdock_schemas.accounts.credit import Credit, CreditKind
from crossdock_schemas.accounts.journal import Entry, EntryKind, Ledger, Posting
from crossdock_schemas.calls.usage import CallOutcome, Charge, HoldEnd
from crossdock_schemas.ids import HoldId, KeyId
from crossdock_schemas.windows import day_of


class Whose(NamedTuple):
    """Lines that the same budgets bind, as of a change of the account."""

    change: int
    key_id: KeyId
    marks: Marks


class Booking:
    """What one step does to the books of one account: at most one entry of each kind."""

    def __init__(  # noqa: PLR0917  # what all of a partition's accounts share
        self,
        state: AccountState,
        holds: Holds,
        marked: Marked,
        recent: Recent,
        asking: Asking,
        pace: Pace,
        *,
        unknown_s: int,
    ) -> None:
        self._unknown_s = unknown_s
        self._state = state
        self._marked = marked
        self._asking = asking
        self._pace = pace
        self._holds = holds
        self._recent = recent
        self._sums: defaultdict[EntryKind, Sums] = defaultdict(Sums)
        self._credits: list[Credit] = []
        self._rooms: tuple[Whose, ParcelRooms] | None = None
        """What was worked out last, while it is true."""
        self._uncounted: dict[Place, tuple[int, int]] = {}
        """What was set aside, and what of it fluid budgets do not count, in 1e-12 USD, that no tally knows of yet."""
        self.has_booked = False
        self.freed_usd = NOTHING
        """What calls gave back of what was held for credits to pay."""
        self.touched: set[KeyId] = set()
        """Keys whose sums changed."""
        self.touched_marks: set[str] = set()
        """End users and tags whose sums changed."""
        self.learned: set[str] = set()
        """Models of which more is known."""

    def credit(self, credit: Credit) -> None:
        """Add credits, or take them away: against who paid them, or who gave them."""
        self._credits.append(credit)

    def rooms(self, key: ApiKey, marks: Marks) -> ParcelRooms:
        """Return what binds lines of `key` that count for `marks`."""
        whose, known = Whose(self._state.number, key.key_id, marks), self._rooms
        if known is None or known[0] != whose:
            self.count()
            known = self._rooms = whose, rooms_for(self._state, key, marks)
        return known[1]

    def count(self) -> None:
        """Let the account's tallies count all that was set aside; what else is booked they count at once."""
        if not self._uncounted:
            return
        uncounted, self._uncounted = self._uncounted, {}
        for place, (rest, spare) in uncounted.items():
            self._add(EntryKind.HOLD, place, held=to_usd(rest), spare=to_usd(spare))

    def forget_rooms(self) -> None:
        """Sums, or credits, are others now."""
        self._rooms = None

    def hold(  # whose it is, and what
        self,
        key: ApiKey,
        hold_id: HoldId,
        held: Held,
        rooms: ParcelRooms,
        shares: tuple[Share, ...] = (),
    ) -> None:
        """Set `held` aside for a parcel; `rooms`: what binds its lines now; `shares`: what of it counts for marks.

        The tallies count it later, all at once: so long the rooms that are known tell what is left.
        """
        self._holds.add(Owner(self._state.account, key.key_id), hold_id, held)
        if shares:
            self._marked.add(self._state.account, hold_id, shares)
        for names, rest, spare in shares or (whole(held),):
            place = Place(key.project, key.key_id, "", held.day, marks=names)
            already = self._uncounted.get(place, (0, 0))
            self._uncounted[place] = already[0] + rest, already[1] + spare
        self._sums[EntryKind.HOLD].count += held.open.bit_count()
        if rooms.users:  # each of them has less by another amount
            self.forget_rooms()
        else:
            rooms.shared.take(to_usd(held.rest), to_usd(held.spare))

    def charge(self, row: Charge) -> None:
        """Book a call that is not in the books yet; its hold gives up as much, as far as it reaches."""
        self.count()
        state = self._state
        held = None
        if row.hold_id is not None:
            held = self._holds.find(Owner(state.account, row.key_id), row.hold_id)
        if held is None or row.hold_id is None:
            self._book(row, day_of(state.now_ms), marks_of_row(state, row))
            return
        shares = self._marked.find(state.account, row.hold_id)
        share = share_of(shares, row.user) if shares else whole(held)
        taken = self._book(row, held.day, share.marks)
        if taken is not None:
            self._give(row, row.hold_id, held, share, taken)
            self._learn(row, row.hold_id, taken)

    def _book(self, row: Charge, day: int, marks: tuple[str, ...]) -> Taken | None:
        """Book what a call adds to the books; `day` and `marks`: where it counts unless it was booked before."""
        taken = self._recent.take(row, day, marks)
        if taken is not None:
            calls = 0 if taken.is_correction else 1
            place = Place(
                row.project, row.key_id, row.provider, taken.day, row.is_byok, taken.marks
            )
            self._add(_kind(taken), place, spent=taken.amount_usd, count=1, calls=calls)
            self._pace.use(self._state, row.key_id, row.hold_id, taken.tokens)
        return taken

    def _give(  # whose hold pays, and for what
        self, row: Charge, hold_id: HoldId, held: Held, share: Share, taken: Taken
    ) -> None:
        """Take what a call cost from its share of its hold, as far as it reaches: from what was likely first."""
        units = min(share.rest, to_units(taken.amount_usd))
        if not units:
            return
        left = share._replace(rest=share.rest - units, spare=min(share.spare, share.rest - units))
        used = held._replace(rest=held.rest - units, spare=held.spare + left.spare - share.spare)
        account = self._state.account
        self._holds.put(Owner(account, row.key_id), hold_id, used)
        self._marked.put(account, hold_id, left)
        place = Place(row.project, row.key_id, "", taken.day, marks=share.marks)
        spare = to_usd(left.spare - share.spare)
        self._add(_kind(taken), place, held=-to_usd(units), spare=spare)
        if row.is_byok:
            self.freed_usd += max(to_usd(units), NOTHING)

    def _learn(self, row: Charge, hold_id: HoldId, taken: Taken) -> None:
        """Remember what a call cost that succeeded, where a fluid budget shall know what is usual."""
        asked = self._asking.find(hold_id)
        if asked is not None and row.outcome is CallOutcome.OK and not taken.is_correction:
            self.learned.add(asked.model)
            usual = self._state.usual_of(asked.model)
            usual.learn(to_units(taken.amount_usd), asked.line_units)

    def end(self, end: HoldEnd) -> None:
        """Free what is left of a hold whose last lines ended. What is told again changes nothing."""
        self.count()
        owner = Owner(self._state.account, end.key_id)
        held = self._holds.find(owner, end.hold_id)
        if held is None:
            return
        left = _after(held, end, self._state.now_ms // 1000 + self._unknown_s)
        self._holds.put(owner, end.hold_id, left)
        ended = (held.open & ~left.open).bit_count()
        self._pace.end(self._state, end.key_id, end.hold_id, left.open.bit_count())
        if left.open:
            self._sums[EntryKind.RELEASE].count += ended
        else:
            self._free(EntryKind.RELEASE, end.key_id, end.hold_id, held, ended)

    def expire(self, key_id: KeyId, hold_id: HoldId, held: Held) -> None:
        """Free what nobody freed; `held` is out of the open ones already."""
        self.count()
        self._pace.end(self._state, key_id, hold_id, 0)
        self._free(EntryKind.EXPIRY, key_id, hold_id, held, held.open.bit_count())

    def _free(  # what, whose, how much
        self, kind: EntryKind, key_id: KeyId, hold_id: HoldId, held: Held, lines: int
    ) -> None:
        self.freed_usd += to_usd(held.rest)
        shares = self._marked.take(self._state.account, hold_id)
        for marks, rest, spare in shares or (whole(held),):
            place = Place(self._state.spenders[key_id], key_id, "", held.day, marks=marks)
            self._add(kind, place, held=to_usd(-rest), spare=to_usd(-spare))
        self._sums[kind].count += lines

    def _add(  # what, where, how much
        self,
        kind: EntryKind,
        place: Place,
        *,
        spent: Decimal = NOTHING,
        held: Decimal = NOTHING,
        spare: Decimal = NOTHING,
        count: int = 0,
        calls: int = 0,
    ) -> None:
        self.forget_rooms()
        sums = self._sums[kind]
        sums.count += count
        if spent:
            sums.spent[place] = sums.spent.get(place, NOTHING) + spent
        if held:
            sums.held[place] = sums.held.get(place, NOTHING) + held
        self._state.spenders.setdefault(place.key_id, place.project)
        for scope in (self._state.account, place.project, place.key_id, *place.marks):
            self._state.tally(scope).add(
                place.day,
                spent=spent,
                held=held,
                spare=spare,
                calls=calls,
                is_byok=place.is_byok,
            )
        self.touched.add(place.key_id)
        self.touched_marks.update(place.marks)

    def entries(self) -> list[Entry]:
        """Return the entries, which get their numbers now; none of nothing."""
        self.count()
        found = self._credit_entries(is_lapse=False)
        for kind, sums in self._sums.items():
            postings = [
                *both_sides(Ledger.SPEND, Ledger.PROVIDER, sums.spent),
                *both_sides(Ledger.HELD, Ledger.AVAILABLE, sums.held),
            ]
            for part in parts_of(postings):
                found.append(self._entry(kind, sums.count, part))
                sums.count = 0  # an entry that is cut tells of its calls once
        # why last: what is written off was neither spent nor held when all else was booked
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


def _kind(taken: Taken) -> EntryKind:
    return EntryKind.CORRECTION if taken.is_correction else EntryKind.CAPTURE


def _after(held: Held, end: HoldEnd, unknown_until_s: int) -> Held:
    """Return what `end` makes of `held`."""
    slots = sum(1 << slot for slot in set(end.slots)) & held.open
    still = held.open if end.is_unknown else held.open & ~slots
    lost = (held.lost | slots if end.is_unknown else held.lost) & still
    is_over = lost == still  # nothing more begins; what is lost may still be told of
    stop_s = min(held.stop_s, unknown_until_s) if is_over else held.stop_s
    return held._replace(open=still, lost=lost, stop_s=stop_s)
