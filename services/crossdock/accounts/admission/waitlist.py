"""Which waiting batches may go on, and with how many lines. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from crossdock.accounts.admission.headroom import Headroom, headroom_of
from crossdock.accounts.admission.rate_limits import count_startable
from crossdock.accounts.state.account import AccountState
from crossdock.accounts.state.cost_history import expected_costs
from crossdock.accounts.state.waiting import WaitingLines
from crossdock_schemas.batches.batch import Granted
from crossdock_schemas.ids import KeyId
from crossdock_schemas.money import Units, to_units


@dataclass
class Promised:
    """Promises to earlier batches: worst cases, expected costs, and tokens by key."""

    worst_case: Units = 0
    expected: Units = 0
    tokens: dict[KeyId, int] = field(default_factory=dict)


def grants(state: AccountState) -> Iterator[tuple[WaitingLines, Granted]]:
    """Yield the batches that may continue. Money that is promised to one is not promised to the next."""
    promised = Promised()
    for waiting in state.waiting.values():
        key = state.keys.get(waiting.key_id)
        if key is None:
            yield waiting, _granted(waiting, None)  # its next parcel is refused
            continue
        worst_case = to_units(waiting.worst_usd)
        (expected,) = expected_costs([worst_case], state.cost_history.get(waiting.model))
        headroom = headroom_of(state, key, waiting.marks)
        root = state.root_of(key.key_id)
        tokens = promised.tokens.get(root, 0)
        count = min(
            _count(headroom.worst_case, worst_case, promised.worst_case, waiting.lines),
            _count(headroom.expected, expected, promised.expected, waiting.lines),
            count_startable(state, key, waiting.tokens, waiting.lines, tokens),
        )
        if count:
            promised.worst_case += worst_case * count
            promised.expected += expected * count
            promised.tokens[root] = tokens + waiting.tokens * count
            yield waiting, _granted(waiting, count if count < waiting.lines else None)


def _count(headroom: Headroom | None, cost: Units, promised: Units, lines: int) -> int:
    """Return how many of `lines` the headroom covers, if each has this cost."""
    if headroom is None or not cost:
        return lines
    return min(lines, max(0, (headroom.amount - promised) // cost))


def _granted(waiting: WaitingLines, lines: int | None) -> Granted:
    return Granted(batch_id=waiting.batch_id, model=waiting.model, lines=lines)
