"""Credits that expire: which are spent first, and what lapses. Pure.

Credits that expire at the same time are one lot. Spending takes from the lot that expires first; credits that never
expire come last. A refund or a negative adjustment takes from the other end: credits that never expire, then the lot
that expires last, so that no refund pays back what was about to lapse. Credits that a correction gives back
never expire, and are spent next.

When a lot expires, all of it lapses except what open holds may need, and holds draw on what expires first. That part
stays until calls captured or released it, whichever calls they are; then the released part lapses. So a lot lapses in
two steps at most, and no lapse takes what is held or spent.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from crossdock.accounts.state.account import AccountState
from crossdock_schemas.accounts.credit import Credit, CreditKind, Lot, Lots
from crossdock_schemas.ids import derive_lapse_id
from crossdock_schemas.money import to_usd
from crossdock_schemas.times import utc
from crossdock_schemas.windows import Window

DAY_MS = 86_400_000
NOTHING = Decimal(0)
Amount = Literal["left_usd", "lapsing_usd"]


class SettledLots(NamedTuple):
    """The result of settling an account's lots."""

    lapses: Sequence[Credit] = ()
    """Credits below 0, to be booked."""
    soon: Sequence[Lot] = ()
    """They expire soon, which was not reported yet."""
    over: Sequence[Lot] = ()
    """They expired now; as they were before."""


def add(state: AccountState, credit: Credit) -> None:
    """Count `credit`, which is not a lapse; the state has it already."""
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
    """Return `lots` with `new`, in the order of their times; lots of the same time are merged."""
    same = [lot for lot in lots if lot.expires_at_ms == new.expires_at_ms]
    others = [lot for lot in lots if lot.expires_at_ms != new.expires_at_ms]
    left = sum((lot.left_usd for lot in same), new.left_usd)
    merged = (same or [new])[0].model_copy(update={"left_usd": left, "is_told": False})
    return sorted([*others, merged], key=lambda lot: lot.expires_at_ms)


def due_ms(state: AccountState, notice_days: int) -> list[int]:
    """Return the times at which something is to be reported, or lapses."""
    ends = [] if state.lots is None else [lot.expires_at_ms for lot in state.lots.lots]
    return [at_ms for end_ms in ends for at_ms in (end_ms - notice_days * DAY_MS, end_ms)]


def settle(state: AccountState, released_usd: Decimal, notice_days: int) -> SettledLots:
    """Take from the lots what was spent, and let lapse what has expired.

    `released_usd`: what holds released since the last time. The caller books the lapses.
    """
    if state.lots is None or not state.lots.lots:
        return SettledLots()
    book = _count(state)
    lots = _without_debt(state, list(book.lots))
    lots = _give_up(state, lots, released_usd)
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
    return SettledLots(lapses, soon, over)


def _count(state: AccountState) -> Lots:
    """Return the lots, less what was spent since the last time."""
    spent = state.spent_usd()
    book = state.lots
    if book is None or not book.lots or state.prepaid_from_usd is None:
        return (book or Lots(account=state.account)).model_copy(update={"counted_usd": spent})
    lots, _ = _take(book.lots, "left_usd", spent - book.counted_usd)
    counted = max(spent, book.counted_usd)
    return book.model_copy(update={"lots": tuple(lots), "counted_usd": counted})


def _without_debt(state: AccountState, lots: list[Lot]) -> list[Lot]:
    """Take from the lots what was spent or removed beyond the credits that never expire."""
    lots, debt = _take(lots, "left_usd", -_endless(state, lots))
    lots, _ = _take(lots, "lapsing_usd", debt)
    return lots


def _endless(state: AccountState, lots: Iterable[Lot]) -> Decimal:
    """Return what is left of the credits that never expire; below 0 if more was spent than there is."""
    left, start = to_usd(state.credit_total), state.prepaid_from_usd
    if start is not None:
        left += start - state.spent_usd()
    return left - sum((lot.left_usd + lot.lapsing_usd for lot in lots), NOTHING)


def _held(state: AccountState) -> Decimal:
    """Return what open holds may take from the credits, USD."""
    is_bound = state.prepaid_from_usd is not None
    return to_usd(state.totals_of(state.account).held[Window.TOTAL]) if is_bound else NOTHING


def _give_up(state: AccountState, lots: list[Lot], released_usd: Decimal) -> list[Lot]:
    """Mark what holds released of expired lots as lapsing, except what other holds still need."""
    kept = sum((lot.left_usd for lot in lots if lot.is_over), NOTHING)
    left = _endless(state, lots) + sum((lot.left_usd for lot in lots), NOTHING)
    back = min(kept, max(released_usd, kept - _held(state)), max(left - _held(state), NOTHING))
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
    """Return the lots that stay, and the lapses."""
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
    end = utc(lot.expires_at_ms)
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
    """Take `amount_usd` (below 0: nothing) from the first lots; return the lots, and what they do not cover."""
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
