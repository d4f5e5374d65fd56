"""Whom to tell that there is money again, and of how much. Pure."""

from collections.abc import Iterator
from decimal import Decimal

from crossdock.accounts.room import count_begun, room_of
from crossdock.accounts.state import AccountState
from crossdock.accounts.waiting import Waiting
from crossdock_schemas.account import ApiKey
from crossdock_schemas.batch import Granted


def grants(state: AccountState) -> Iterator[tuple[Waiting, Granted]]:
    """Yield who may go on, and with how many lines. What is promised to one is not promised to the next."""
    promised = Decimal(0)
    for waiting in state.waiting.values():
        key = state.keys.get(waiting.key_id)
        if key is None:
            yield waiting, _granted(waiting, None)  # its next parcel tells
            continue
        count = min(_paid_for(state, key, waiting, promised), _begun(state, key, waiting))
        if count:
            promised += waiting.worst_usd * count
            yield waiting, _granted(waiting, count if count < waiting.lines else None)


def _paid_for(state: AccountState, key: ApiKey, waiting: Waiting, promised: Decimal) -> int:
    """Return how many of the lines there is money for."""
    room = room_of(state, key)
    if room is None or not waiting.worst_usd:
        return waiting.lines
    return min(waiting.lines, max(0, int((room.left_usd - promised) / waiting.worst_usd)))


def _begun(state: AccountState, key: ApiKey, waiting: Waiting) -> int:
    """Return how many of the lines may begin by the key's limit a minute."""
    allowed = count_begun(state, key)
    return waiting.lines if allowed is None else min(waiting.lines, allowed)


def _granted(waiting: Waiting, lines: int | None) -> Granted:
    return Granted(batch_id=waiting.batch_id, model=waiting.model, lines=lines)
