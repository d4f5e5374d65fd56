"""Whom to tell that there is money again, and of how much. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from crossdock.accounts.admission.headroom import Room, rooms_of
from crossdock.accounts.admission.rate_limits import count_alike
from crossdock.accounts.state.account import AccountState
from crossdock.accounts.state.cost_history import likely_of
from crossdock.accounts.state.waiting import Waiting
from crossdock_schemas.batches.batch import Granted
from crossdock_schemas.ids import KeyId


@dataclass
class Promised:
    """What is promised already: USD, so much at most and so much likely; and tokens, by key."""

    worst_usd: Decimal = Decimal(0)
    likely_usd: Decimal = Decimal(0)
    tokens: dict[KeyId, int] = field(default_factory=dict)


def grants(state: AccountState) -> Iterator[tuple[Waiting, Granted]]:
    """Yield who may go on, and with how many lines. What is promised to one is not promised to the next."""
    promised = Promised()
    for waiting in state.waiting.values():
        key = state.keys.get(waiting.key_id)
        if key is None:
            yield waiting, _granted(waiting, None)  # its next parcel tells
            continue
        (likely_usd,) = likely_of([waiting.worst_usd], state.usual.get(waiting.model))
        rooms = rooms_of(state, key, waiting.marks)
        tokens = promised.tokens.get(key.key_id, 0)
        count = min(
            _paid_for(rooms.worst, waiting.worst_usd, promised.worst_usd, waiting.lines),
            _paid_for(rooms.likely, likely_usd, promised.likely_usd, waiting.lines),
            count_alike(state, key, waiting.tokens, waiting.lines, tokens),
        )
        if count:
            promised.worst_usd += waiting.worst_usd * count
            promised.likely_usd += likely_usd * count
            promised.tokens[key.key_id] = tokens + waiting.tokens * count
            yield waiting, _granted(waiting, count if count < waiting.lines else None)


def _paid_for(room: Room | None, amount_usd: Decimal, promised_usd: Decimal, lines: int) -> int:
    """Return how many of `lines` there is money for, if each costs as much."""
    if room is None or not amount_usd:
        return lines
    return min(lines, max(0, int((room.left_usd - promised_usd) / amount_usd)))


def _granted(waiting: Waiting, lines: int | None) -> Granted:
    return Granted(batch_id=waiting.batch_id, model=waiting.model, lines=lines)
