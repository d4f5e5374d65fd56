"""Whom to tell that there is money again, and of how much. Pure."""

from collections.abc import Iterator
from decimal import Decimal

from crossdock.accounts.room import room_of
from crossdock.accounts.state import AccountState
from crossdock.accounts.waiting import Waiting
from crossdock_schemas.batch import Granted


def grants(state: AccountState) -> Iterator[tuple[Waiting, Granted]]:
    """Yield who may go on, and with how many lines. What is promised to one is not promised to the next."""
    promised = Decimal(0)
    for waiting in state.waiting.values():
        key = state.keys.get(waiting.key_id)
        room = None if key is None else room_of(state, key)
        if room is None:  # no budget any more, or no key: its next parcel tells
            yield waiting, _granted(waiting, None)
            continue
        left = room.left_usd - promised
        if left < waiting.worst_usd:
            continue
        count = waiting.lines
        if waiting.worst_usd:
            count = min(count, int(left / waiting.worst_usd))
        promised += waiting.worst_usd * count
        yield waiting, _granted(waiting, count if count < waiting.lines else None)


def _granted(waiting: Waiting, lines: int | None) -> Granted:
    return Granted(batch_id=waiting.batch_id, model=waiting.model, lines=lines)
