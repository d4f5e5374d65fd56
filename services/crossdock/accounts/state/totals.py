"""Totals: spent and held amounts, by window. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from crossdock_schemas.accounts.journal import MarkSpend, Spend, Spending
from crossdock_schemas.ids import AccountId, KeyId, ProjectId
from crossdock_schemas.money import Units, to_units, to_usd
from crossdock_schemas.windows import Window, day_of, is_in

WINDOWS = tuple(Window)
PERIODS = {Window.TOTAL: "", Window.DAILY: "day_", Window.WEEKLY: "week_", Window.MONTHLY: "month_"}
KINDS = {"spent": "", "held": "held_", "spare": "spare_", "byok": "byok_"}
"""Prefix of a message's field, by the amounts of `Totals` that it shows."""
Amounts = dict[Window, Units]


def _nothing() -> Amounts:
    return dict.fromkeys(Window, 0)


@dataclass(slots=True)
class Totals:
    """Amounts of one organization, project, key, end user or tag, in the windows of `day`."""

    day: int = 0
    spent: Amounts = field(default_factory=_nothing)
    held: Amounts = field(default_factory=_nothing)
    spare: Amounts = field(default_factory=_nothing)
    """The part of `held` beyond the expected cost: fluid budgets do not count it."""
    byok: Amounts = field(default_factory=_nothing)
    """The part of `spent` that BYOK keys paid for."""
    calls: int = 0

    def roll(self, today: int) -> None:
        """Empty the windows that ended before `today`; a clock that went back changes nothing."""
        if today <= self.day:
            return
        for window in Window:
            if not is_in(window, self.day, today):
                self.spent[window] = self.held[window] = 0
                self.spare[window] = self.byok[window] = 0
        self.day = today

    def add(
        self,
        day: int,
        *,
        spent: Units = 0,
        held: Units = 0,
        spare: Units = 0,
        calls: int = 0,
        is_byok: bool = False,
    ) -> None:
        """Count what belongs to `day`, in the windows that still contain that day."""
        self.calls += calls
        is_today = day == self.day  # nearly always
        windows = WINDOWS if is_today else [w for w in WINDOWS if is_in(w, day, self.day)]
        if held:
            _add(self.held, windows, held)
        if spare:
            _add(self.spare, windows, spare)
        if spent:
            _add(self.spent, windows, spent)
            if is_byok:
                _add(self.byok, windows, spent)

    def used(self, window: Window, *, include_byok: bool = True) -> Units:
        """Return what a strict budget counts. All holds count: whose provider key will pay is not known yet."""
        return self.spent_in(window, include_byok=include_byok) + self.held[window]

    def expected(self, window: Window, *, include_byok: bool) -> Units:
        """Return what a fluid budget counts: of the holds only the expected cost."""
        return self.used(window, include_byok=include_byok) - self.spare[window]

    def spent_in(self, window: Window, *, include_byok: bool) -> Units:
        """Return what was spent, with or without what BYOK keys paid for."""
        return self.spent[window] - (0 if include_byok else self.byok[window])

    def merge(self, other: "Totals") -> None:
        """Add `other`, which belongs to a part of the same whole."""
        self.roll(other.day)
        self.calls += other.calls
        for window in Window:
            if is_in(window, other.day, self.day):
                for kind in KINDS:
                    getattr(self, kind)[window] += getattr(other, kind)[window]


def _add(amounts: Amounts, windows: Iterable[Window], amount: Units) -> None:
    for window in windows:
        amounts[window] += amount


def _field(kind: str, window: Window) -> str:
    """Return a message's name for an amount, such as `held_day_usd`; the total of what was spent is `total_usd`."""
    return f"{KINDS[kind]}{PERIODS[window]}usd" if KINDS[kind] or PERIODS[window] else "total_usd"


FIELDS = tuple((kind, window, _field(kind, window)) for kind in KINDS for window in Window)


def totals_of(spending: Spending) -> Totals:
    """Return the totals that a message shows."""
    totals = Totals(day=day_of(spending.at_ms), calls=spending.calls)
    for kind, window, name in FIELDS:
        getattr(totals, kind)[window] = to_units(getattr(spending, name))
    return totals


class SpendPlace(NamedTuple):
    """The key whose spending is shown."""

    account: AccountId
    project: ProjectId
    key_id: KeyId
    rotation_root: KeyId | None = None


def spend_of(totals: Totals, place: SpendPlace, now_ms: int) -> Spend:
    """Return what the directory shows of a key; `now_ms` is in the day of `totals`."""
    return Spend(**place._asdict(), at_ms=now_ms, **_shown(totals))


def mark_spend_of(totals: Totals, account: AccountId, scope: str, now_ms: int) -> MarkSpend:
    """Return what the directory shows of an end user or a tag; `now_ms` is in the day of `totals`."""
    return MarkSpend(account=account, scope=scope, at_ms=now_ms, **_shown(totals))


def _shown(totals: Totals) -> dict[str, Any]:
    shown: dict[str, Any] = {
        name: to_usd(getattr(totals, kind)[window]) for kind, window, name in FIELDS
    }
    return shown | {"calls": totals.calls}
