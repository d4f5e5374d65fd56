"""How much may still be held for a key: what the tightest of its budgets leaves. Pure.

A strict budget has room for what calls can cost at most. A fluid one has room for what they are likely to cost, and,
with its overshoot, for what they can cost at most.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from crossdock.accounts.state.account import CREDITS, AccountState
from crossdock_schemas.accounts.account import ApiKey
from crossdock_schemas.accounts.budget import Budget
from crossdock_schemas.accounts.directory import budget_id, in_words
from crossdock_schemas.batches.batch import WaitReason
from crossdock_schemas.ids import AccountId
from crossdock_schemas.money import usd_text
from crossdock_schemas.windows import day_of, end_ms


@dataclass(slots=True)
class Room:
    """What is left of one budget, or (None) of the credits, USD; below 0 where more was spent than there is."""

    budget: Budget | None
    left_usd: Decimal
    is_likely: bool = False
    """Of what calls are likely to cost, not of what they can cost at most."""

    @property
    def name(self) -> str:
        """The budget's identity, or `credits`."""
        return CREDITS if self.budget is None else budget_id(self.budget.scope, self.budget.window)

    def less(self, amount_usd: Decimal) -> "Room":
        """Return what is left if so much more is held."""
        return Room(self.budget, self.left_usd - amount_usd, self.is_likely)


class Rooms(NamedTuple):
    """The tightest rooms, each None where nothing binds: for worst cases, and for likely ones."""

    worst: Room | None
    likely: Room | None

    def take(self, held_usd: Decimal, spare_usd: Decimal) -> None:
        """So much more is held, of which fluid budgets do not count `spare_usd`.

        All budgets count it, so that the tightest ones stay it.
        """
        if self.worst is not None:
            self.worst.left_usd -= held_usd
        if self.likely is not None:
            self.likely.left_usd -= held_usd - spare_usd


class Fit(NamedTuple):
    """How many lines, from the first on, there is money for; and what the next one met."""

    lines: int
    room: Room | None = None
    """What is left after those; None: there is money for all."""
    asked_usd: Decimal = Decimal(0)
    """What the next one can, or is likely to, cost."""


def rooms_of(state: AccountState, key: ApiKey, marks: Iterable[str] = ()) -> Rooms:
    """Return what the tightest budgets of organization, project, key and `marks` leave, or the credits.

    The state's tallies are those of today.
    """
    worst, likely = rooms_of_scopes(state, (state.account, key.project, key.key_id, *marks))
    if state.organization is not None and state.organization.prepaid_from_usd is not None:
        credits = Room(None, state.credits_left())
        worst = _tighter(worst, credits)
    return Rooms(worst, likely)


def rooms_of_scopes(state: AccountState, scopes: Iterable[str]) -> Rooms:
    """Return what the tightest budgets of `scopes` leave."""
    worst: Room | None = None
    likely: Room | None = None
    for scope in scopes:
        budgets = state.budgets.get(scope)
        if not budgets:
            continue
        tally = state.tally(scope)
        for budget in budgets.values():
            used = tally.used(budget.window, include_byok=budget.include_byok)
            left = budget.limit_usd + budget.overshoot_usd - used
            worst = _tighter(worst, Room(budget, left))
            if budget.is_fluid:
                usual = tally.likely(budget.window, include_byok=budget.include_byok)
                likely = _tighter(likely, Room(budget, budget.limit_usd - usual, is_likely=True))
    return Rooms(worst, likely)


def _tighter(one: Room | None, other: Room) -> Room:
    return other if one is None or other.left_usd < one.left_usd else one


def fit(rooms: Rooms, worst: Sequence[Decimal], likely: Sequence[Decimal]) -> Fit:
    """Return how many lines there is money for that cost `worst` at most and are likely to cost `likely`, USD."""
    at_most = _fit(rooms.worst, worst)
    if rooms.likely is None:
        return at_most
    usually = _fit(rooms.likely, likely)
    return usually if usually.lines < at_most.lines else at_most


def _fit(room: Room | None, amounts: Sequence[Decimal]) -> Fit:
    count = len(amounts) if room is None else count_fitting(amounts, room.left_usd)
    if room is None or count == len(amounts):
        return Fit(len(amounts))
    return Fit(count, room.less(sum(amounts[:count], Decimal(0))), amounts[count])


def count_fitting(worst: Iterable[Decimal], left_usd: Decimal) -> int:
    """Return how many of these amounts, from the first on, fit into `left_usd`."""
    count = 0
    for amount in worst:
        left_usd -= amount
        if left_usd < 0:
            break
        count += 1
    return count


def tell_shortage(room: Room, account: AccountId, asked_usd: Decimal, now_ms: int) -> WaitReason:
    """Return why what costs `asked_usd` at most, or is likely to, cannot begin, with the numbers."""
    budget, left = room.budget, max(room.left_usd, Decimal(0))
    if budget is None:
        return WaitReason(
            code="insufficient_credits",
            message=f"The organization has {usd_text(left)} USD of credits left; this can cost up to "
            f"{usd_text(asked_usd)} USD. Ask the operator for a top-up.",
            scope=account,
            since_ms=now_ms,
        )
    until_ms = end_ms(budget.window, day_of(now_ms))
    is_beyond = budget.is_fluid and not room.is_likely
    limit = f"{usd_text(budget.limit_usd)} USD"
    limit += f" and {usd_text(budget.overshoot_usd)} USD beyond it" if is_beyond else ""
    can = "is likely to cost" if room.is_likely else "can cost up to"
    message = (
        f"The {budget.window.value} budget of {in_words(budget.scope)} leaves {usd_text(left)} USD of "
        f"{limit}; this {can} {usd_text(asked_usd)} USD."
    )
    return WaitReason(
        code="budget_exceeded",
        message=message,
        scope=budget.scope,
        since_ms=now_ms,
        until_ms=until_ms,
    )
