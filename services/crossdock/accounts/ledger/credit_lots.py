"""Credits that expire: which are spent, and what is written off of them. Pure.

Credits of one time are one lot. What is spent is taken from what expires first; what never expires is the rest, and
comes last. What is taken away (a refund, an adjustment) comes from the other end: what never expires, then what
expires last, so that nobody is paid back what was about to lapse. What a correction gives back never expires, and is
spent next.

When its time has come, all of a lot is written off that is not held for calls, where calls are held for from what
expires first. What is held stays until calls have spent it or given it back, whichever calls they are; when none is
left, what they gave back is written off. So a lot has two write-offs at most, and none takes what is held or spent.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from crossdock.accounts.state.account import AccountState
from crossdock.accounts.state.totals import NOTHING
from crossdock_schemas.accounts.credit import Credit, CreditKind, Lot, Lots
from crossdock_schemas.ids import derive_lapse_id
from crossdock_schemas.windows import Window

DAY_MS = 86_400_000
Amount = Literal["left_usd", "lapsing_usd"]


class Settled(NamedTuple):
    """What became of an account's lots."""

    lapses: Sequence[Credit] = ()
    """What is written off: credits below 0 that are to be booked."""
    soon: Sequence[Lot] = ()
    """Of which nobody was told yet that they will expire."""
    over: Sequence[Lot] = ()
    """That expired now, as they were before."""


def add(state: AccountState, credit: Credit) -> None:
    """Count `credit`, no lapse, which is among the state's already."""
    book = _count(state)
    lots = list(book.lots)
    if not lots and credit.expires_at_ms is None:
        return
    if credit.expires_at_ms is not None:
        lots = _with(lots, Lot(expires_at_ms=credit.expires_at_ms, left_usd=credit.amount_usd))
    elif credit.amount_usd < 0:
        backwards, _ = _take(lots[::-1], "left_usd", -_endless(state, lots))
        lots = backwards[::-1]
    _put(state, book, lots)


def _with(lots: list[Lot], new: Lot) -> list[Lot]:
    """Return `lots` and `new`, in the order of their times; of one time is one."""
    same = [lot for lot in lots if lot.expires_at_ms == new.expires_at_ms]
    others = [lot for lot in lots if lot.expires_at_ms != new.expires_at_ms]
    left = sum((lot.left_usd for lot in same), new.left_usd)
    merged = (same or [new])[0].model_copy(update={"left_usd": left, "is_told": False})
    return sorted([*others, merged], key=lambda lot: lot.expires_at_ms)


def due_ms(state: AccountState, notice_days: int) -> list[int]:
    """Return the times at which there is something to tell, or to write off."""
    ends = [] if state.lots is None else [lot.expires_at_ms for lot in state.lots.lots]
    return [at_ms for end_ms in ends for at_ms in (end_ms - notice_days * DAY_MS, end_ms)]


def settle(state: AccountState, freed_usd: Decimal, notice_days: int) -> Settled:
    """Take from the lots what was spent, and write off what has expired.

    `freed_usd`: what calls gave back since the last time, of what was held for them. The lapses are for the caller to
    book, so that the state's credits are less by them.
    """
    if state.lots is None or not state.lots.lots:
        return Settled()
    book = _count(state)
    lots = _without_debt(state, list(book.lots))
    lots = _give_up(state, lots, freed_usd)
    over = [
        lot
        for lot in lots
        if lot.left_usd and not lot.is_over and lot.expires_at_ms <= state.now_ms
    ]
    told_ms = state.now_ms + notice_days * DAY_MS
    soon = [
        lot
        for lot in lots
        if lot.left_usd and not lot.is_told and state.now_ms < lot.expires_at_ms <= told_ms
    ]
    lots, lapses = _close(state, lots)
    lots = [_changed(lot, is_told=True) if lot in soon else lot for lot in lots]
    _put(state, book, lots)
    return Settled(lapses, soon, over)


def _count(state: AccountState) -> Lots:
    """Return the lots, less what was spent since the last time."""
    paid = state.tally(state.account).paid(Window.TOTAL, include_byok=False)
    book = state.lots
    if book is None or not book.lots or state.prepaid_from_usd is None:
        return (book or Lots(account=state.account)).model_copy(update={"counted_usd": paid})
    lots, _ = _take(book.lots, "left_usd", paid - book.counted_usd)
    counted = max(paid, book.counted_usd)
    return book.model_copy(update={"lots": tuple(lots), "counted_usd": counted})


def _without_debt(state: AccountState, lots: list[Lot]) -> list[Lot]:
    """What was spent, or taken away, beyond all that never expires is paid for by what does."""
    lots, debt = _take(lots, "left_usd", -_endless(state, lots))
    lots, _ = _take(lots, "lapsing_usd", debt)
    return lots


def _endless(state: AccountState, lots: Iterable[Lot]) -> Decimal:
    """Return what is left of the credits that never expire; below 0: more was spent than there is."""
    left, begun = state.credits_usd, state.prepaid_from_usd
    if begun is not None:
        left += begun - state.tally(state.account).paid(Window.TOTAL, include_byok=False)
    return left - sum((lot.left_usd + lot.lapsing_usd for lot in lots), NOTHING)


def _held(state: AccountState) -> Decimal:
    """Return what calls may spend of the credits, USD."""
    is_bound = state.prepaid_from_usd is not None
    return state.tally(state.account).held[Window.TOTAL] if is_bound else NOTHING


def _give_up(state: AccountState, lots: list[Lot], freed_usd: Decimal) -> list[Lot]:
    """Of lots whose time has come: what calls gave back may be spent no more, but for what others are held for."""
    kept = sum((lot.left_usd for lot in lots if lot.is_over), NOTHING)
    left = _endless(state, lots) + sum((lot.left_usd for lot in lots), NOTHING)
    back = min(kept, max(freed_usd, kept - _held(state)), max(left - _held(state), NOTHING))
    changed = []
    for lot in lots:
        part = min(lot.left_usd, back) if lot.is_over else NOTHING
        back -= part
        if part:
            rest = {"left_usd": lot.left_usd - part, "lapsing_usd": lot.lapsing_usd + part}
            lot = _changed(lot, **rest)  # noqa: PLW2901  # as it is now
        changed.append(lot)
    return changed


def _close(state: AccountState, lots: list[Lot]) -> tuple[list[Lot], list[Credit]]:
    """Return the lots that are there still, and what is to be written off."""
    held = _held(state) - sum((lot.left_usd for lot in lots if lot.is_over), NOTHING)
    open_, lapses = [], []
    for lot in lots:
        if lot.is_over or lot.expires_at_ms > state.now_ms:
            if lot.left_usd:
                open_.append(lot)
            elif lot.lapsing_usd:
                lapses.append(_lapse(state, lot, lot.lapsing_usd, 2))
            continue
        kept = min(lot.left_usd, max(held, NOTHING))
        held -= kept
        if kept < lot.left_usd:
            lapses.append(_lapse(state, lot, lot.left_usd - kept, 1))
        if kept:
            open_.append(_changed(lot, left_usd=kept, is_over=True))
    return open_, lapses


def _lapse(state: AccountState, lot: Lot, amount_usd: Decimal, number: int) -> Credit:
    end = datetime.fromtimestamp(lot.expires_at_ms / 1000, UTC)
    return Credit(
        account=state.account,
        credit_id=derive_lapse_id(state.account, lot.expires_at_ms, number),
        kind=CreditKind.LAPSE,
        amount_usd=-amount_usd,
        reference=f"expiry of {end:%Y-%m-%dT%H:%M:%SZ}",
        at_ms=state.now_ms,
        expires_at_ms=lot.expires_at_ms,
    )


def _take(lots: Sequence[Lot], name: Amount, amount_usd: Decimal) -> tuple[list[Lot], Decimal]:
    """Return the lots less `amount_usd` (below 0: nothing), taken from the first ones, and what they do not cover."""
    rest, taken = max(amount_usd, NOTHING), []
    for lot in lots:
        there: Decimal = getattr(lot, name)
        part = min(there, rest)
        rest -= part
        taken.append(_changed(lot, **{name: there - part}) if part else lot)
    return taken, rest


def _changed(lot: Lot, **fields: Any) -> Lot:
    return lot.model_copy(update=fields)


def _put(state: AccountState, book: Lots, lots: Iterable[Lot]) -> None:
    state.lots = book.model_copy(update={"lots": tuple(lots)})
