"""What calls are likely to cost: the 95th percentile of what calls of an account and a model did cost. Pure.

Kept is what share of its worst case each call took, in classes of powers of 2^(1/4), so a class is at most 19 % wide;
the upper bound of a class counts. Of what share is held: the one that 95 of 100 calls did not exceed.
"""

import hashlib
import json
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import accumulate
from typing import NamedTuple

from crossdock.accounts.state.holds import to_units, to_usd
from crossdock_schemas.ids import AccountId, HoldId

CLASSES = 64
WHOLE = 1_000_000
"""A share is told in millionths."""
SHARES = tuple(-int(-WHOLE * 2 ** (-(CLASSES - 1 - n) / 4) // 1) for n in range(CLASSES))
"""Upper bounds of the classes: from 19 millionths to the whole."""
FEWEST = 100
"""Calls that must be known; before, the worst case is what is likely."""
MOST = 10_000
"""Calls after which all count half: a model's answers change, and so does what it is asked."""
PERCENT = 95
MAX_ASKED = 10_000


@dataclass
class Usual:
    """How many of an account's calls of one model took which share of their worst case."""

    account: AccountId
    model: str
    counts: list[int] = field(default_factory=lambda: [0] * CLASSES)

    def learn(self, units: int, worst_units: int) -> None:
        """Count a call that cost `units`, of `worst_units` at most."""
        share = -(-units * WHOLE // worst_units)
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
        """Its name among the account's pages: a model's own may hold any character."""
        return f"usual_{hashlib.blake2b(self.model.encode(), digest_size=8).hexdigest()}"

    def to_json(self) -> bytes:
        return json.dumps({"model": self.model, "counts": self.counts}).encode()


def usual_of(account: AccountId, value: bytes) -> Usual:
    """Return what `to_json` said."""
    found = json.loads(value)
    return Usual(account, found["model"], found["counts"])


def likely_of(worst: Iterable[Decimal], usual: Usual | None) -> list[Decimal]:
    """Return what lines are likely to cost, USD, of what they can cost at most."""
    share = WHOLE if usual is None else usual.share()
    return [to_usd(-(-to_units(amount) * share // WHOLE)) for amount in worst]


class Asked(NamedTuple):
    """What is remembered of a hold until its calls cost something."""

    model: str
    line_units: int
    """What one of its lines can cost at most, on average, in 1e-12 USD."""


class Asking:
    """The holds whose calls shall teach what is usual. In memory only: those of before a restart teach nothing."""

    def __init__(self) -> None:
        self._asked: OrderedDict[HoldId, Asked] = OrderedDict()

    def remember(self, hold_id: HoldId, model: str, worst: Sequence[Decimal]) -> None:
        units = to_units(sum(worst, Decimal(0))) // len(worst)
        if units:
            self._asked[hold_id] = Asked(model, units)
        if len(self._asked) > MAX_ASKED:
            self._asked.popitem(last=False)

    def find(self, hold_id: HoldId) -> Asked | None:
        return self._asked.get(hold_id)
