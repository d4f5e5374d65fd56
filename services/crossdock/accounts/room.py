"""How much may still be held for a key: what the tightest of its budgets leaves. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from crossdock.accounts.rates import count_allowed, next_ms
from crossdock.accounts.state import CREDITS, AccountState
from crossdock_schemas.account import ApiKey
from crossdock_schemas.batch import WaitReason
from crossdock_schemas.budget import Budget
from crossdock_schemas.directory import budget_id, level_of
from crossdock_schemas.ids import AccountId
from crossdock_schemas.money import usd_text
from crossdock_schemas.windows import day_of, end_ms


@dataclass(frozen=True, slots=True)
class Room:
    """What is left of one budget, or (None) of the credits, USD; below 0 where more was spent than there is."""

    budget: Budget | None
    left_usd: Decimal

    @property
    def name(self) -> str:
        """The budget's identity, or `credits`."""
        return CREDITS if self.budget is None else budget_id(self.budget.scope, self.budget.window)


def room_of(state: AccountState, key: ApiKey) -> Room | None:
    """Return what the tightest budget of organization, project and key leaves, or the credits; None: nothing binds.

    The state's tallies are those of today.
    """
    rooms = [
        Room(budget, budget.limit_usd - _used(state, budget))
        for scope in (state.account, key.project, key.key_id)
        for budget in state.budgets.get(scope, {}).values()
    ]
    if state.organization is not None and state.organization.prepaid_from_usd is not None:
        rooms.append(Room(None, state.credits_left()))
    return min(rooms, key=lambda room: room.left_usd, default=None)


def _used(state: AccountState, budget: Budget) -> Decimal:
    return state.tally(budget.scope).used(budget.window, include_byok=budget.include_byok)


def count_fitting(worst: Iterable[Decimal], left_usd: Decimal) -> int:
    """Return how many of these amounts, from the first on, fit into `left_usd`."""
    count = 0
    for amount in worst:
        left_usd -= amount
        if left_usd < 0:
            break
        count += 1
    return count


def count_begun(state: AccountState, key: ApiKey) -> int | None:
    """Return how many requests of `key` may begin now by its limit a minute; None: it has none."""
    if key.rpm is None:
        return None
    return count_allowed(state.busy_until_ms.get(key.key_id, 0), key.rpm, state.now_ms)


def tell_haste(state: AccountState, key: ApiKey) -> WaitReason:
    """Return why a request of `key`, which has a limit a minute, cannot begin yet."""
    rpm = key.rpm or 1
    until_ms = next_ms(state.busy_until_ms.get(key.key_id, 0), rpm)
    return WaitReason(
        code="rate_limit_exceeded",
        message=f"The key {key.key_id} may begin {rpm} requests a minute.",
        scope=key.key_id,
        since_ms=state.now_ms,
        until_ms=max(until_ms, state.now_ms + 1),
    )


def tell_shortage(room: Room, account: AccountId, asked_usd: Decimal, now_ms: int) -> WaitReason:
    """Return why what costs `asked_usd` at most cannot begin, with the numbers."""
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
    message = (
        f"The {budget.window.value} budget of the {level_of(budget.scope)} {budget.scope} leaves {usd_text(left)} USD of "
        f"{usd_text(budget.limit_usd)}; this can cost up to {usd_text(asked_usd)} USD."
    )
    return WaitReason(
        code="budget_exceeded",
        message=message,
        scope=budget.scope,
        since_ms=now_ms,
        until_ms=until_ms,
    )
