"""Expected costs: the 95th percentile of what calls of an account and a model cost before. Pure.

The history counts which share of its worst case each call cost, in classes of powers of 2^(1/4). So a class is at most
19 % wide, and its upper bound counts. The expected share is the one that 95 of 100 calls did not exceed.
"""

import hashlib
import json
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from crossdock_schemas.ids import AccountId, HoldId
from crossdock_schemas.money import Units

CLASSES = 64
WHOLE = 1_000_000
"""Shares are in millionths."""
SHARES = tuple(-int(-WHOLE * 2 ** (-(CLASSES - 1 - n) / 4) // 1) for n in range(CLASSES))
"""Upper bounds of the classes: from 19 millionths to the whole."""
FEWEST = 100
"""Calls that must be known; before that, the worst case is the expected cost."""
MOST = 10_000
"""Calls after which all counts are halved: a model's answers change, and so do the questions."""
PERCENT = 95
MAX_TEACHING = 10_000


@dataclass
class CostHistory:
    """How many of an account's calls of one model cost which share of their worst case."""

    account: AccountId
    model: str
    counts: list[int] = field(default_factory=lambda: [0] * CLASSES)

    def learn(self, cost: Units, worst_case: Units) -> None:
        """Count a call."""
        share = -(-cost * WHOLE // worst_case)
        self.counts[min(bisect_left(SHARES, share), CLASSES - 1)] += 1
        if sum(self.counts) >= MOST:
            self.counts = [count // 2 for count in self.counts]

    def share(self) -> int:
        """Return the share, in millionths, that PERCENT of 100 calls did not exceed."""
        known = sum(self.counts)
        if known < FEWEST:
            return WHOLE
        reached = zip(SHARES, accumulate(self.counts), strict=True)
        return next(share for share, count in reached if count * 100 >= known * PERCENT)

    @property
    def name(self) -> str:
        """Its name among the account's pages: a model's own name may contain any character."""
        return f"usual_{hashlib.blake2b(self.model.encode(), digest_size=8).hexdigest()}"

    def to_json(self) -> bytes:
        return json.dumps({"model": self.model, "counts": self.counts}).encode()


def cost_history_of(account: AccountId, value: bytes) -> CostHistory:
    """Return the history that `to_json` wrote."""
    found = json.loads(value)
    return CostHistory(account, found["model"], found["counts"])


def expected_costs(worst_cases: Iterable[Units], history: CostHistory | None) -> list[Units]:
    """Return the expected cost of each line."""
    share = WHOLE if history is None else history.share()
    return [-(-worst_case * share // WHOLE) for worst_case in worst_cases]


class TeachingHold(NamedTuple):
    """A hold whose calls the history counts."""

    model: str
    worst_case: Units
    """The average of its lines."""


class TeachingHolds:
    """Holds whose calls the history counts. In memory only: after a restart, older holds teach nothing."""

    def __init__(self) -> None:
        self._holds: OrderedDict[HoldId, TeachingHold] = OrderedDict()

    def add(self, hold_id: HoldId, model: str, worst_cases: Sequence[Units]) -> None:
        average = sum(worst_cases) // len(worst_cases)
        if average:
            self._holds[hold_id] = TeachingHold(model, average)
        if len(self._holds) > MAX_TEACHING:
            self._holds.popitem(last=False)

    def find(self, hold_id: HoldId) -> TeachingHold | None:
        return self._holds.get(hold_id)
