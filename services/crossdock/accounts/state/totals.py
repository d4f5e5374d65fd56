"""What was spent and what is held, by window. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from crossdock_schemas.accounts.journal import MarkSpend, Spend, Spending
from crossdock_schemas.ids import AccountId, KeyId, ProjectId
from crossdock_schemas.windows import Window, day_of, is_in

NOTHING = Decimal(0)
WINDOWS = tuple(Window)
PERIODS = {Window.DAILY: "day", Window.WEEKLY: "week", Window.MONTHLY: "month"}


def _nothing() -> dict[Window, Decimal]:
    return dict.fromkeys(Window, NOTHING)


@dataclass(slots=True)
class Tally:
    """Sums of one organization, project, key, end user or tag, USD, in the windows of `day`."""

    day: int = 0
    spent: dict[Window, Decimal] = field(default_factory=_nothing)
    held: dict[Window, Decimal] = field(default_factory=_nothing)
    spare: dict[Window, Decimal] = field(default_factory=_nothing)
    """What of `held` fluid budgets do not count."""
    byok: dict[Window, Decimal] = field(default_factory=_nothing)
    """What of `spent` own provider keys paid for."""
    calls: int = 0

    def roll(self, today: int) -> None:
        """Windows that ended before `today` begin anew; a clock that went back changes nothing."""
        if today <= self.day:
            return
        for window in Window:
            if not is_in(window, self.day, today):
                self.spent[window] = self.held[window] = NOTHING
                self.spare[window] = self.byok[window] = NOTHING
        self.day = today

    def add(
        self,
        day: int,
        *,
        spent: Decimal = NOTHING,
        held: Decimal = NOTHING,
        spare: Decimal = NOTHING,
        calls: int = 0,
        is_byok: bool = False,
    ) -> None:
        """Count what belongs to `day`: in the windows that hold that day still."""
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

    def used(self, window: Window, *, include_byok: bool = True) -> Decimal:
        """Return what a budget of `window` counts. What is held counts whole: nobody knows yet whose key will pay."""
        return self.paid(window, include_byok=include_byok) + self.held[window]

    def likely(self, window: Window, *, include_byok: bool) -> Decimal:
        """Return what a fluid budget of `window` counts: of what is held only what is likely to be spent."""
        return self.used(window, include_byok=include_byok) - self.spare[window]

    def paid(self, window: Window, *, include_byok: bool) -> Decimal:
        """Return what was spent, with or without what own provider keys paid for."""
        return self.spent[window] - (NOTHING if include_byok else self.byok[window])

    def merge(self, other: "Tally") -> None:
        """Add `other`, of a part of what this one sums up."""
        self.roll(other.day)
        self.calls += other.calls
        for window in Window:
            if is_in(window, other.day, self.day):
                self.spent[window] += other.spent[window]
                self.held[window] += other.held[window]
                self.spare[window] += other.spare[window]
                self.byok[window] += other.byok[window]


def _add(sums: dict[Window, Decimal], windows: Iterable[Window], amount: Decimal) -> None:
    for window in windows:
        sums[window] += amount


def tally_of(spend: Spending) -> Tally:
    """Return what `spend` says."""
    spent = (spend.total_usd, spend.day_usd, spend.week_usd, spend.month_usd)
    held = (spend.held_usd, spend.held_day_usd, spend.held_week_usd, spend.held_month_usd)
    spare = (spend.spare_usd, spend.spare_day_usd, spend.spare_week_usd, spend.spare_month_usd)
    byok = (spend.byok_usd, spend.byok_day_usd, spend.byok_week_usd, spend.byok_month_usd)
    return Tally(
        day=day_of(spend.at_ms),
        spent=dict(zip(Window, spent, strict=True)),
        held=dict(zip(Window, held, strict=True)),
        spare=dict(zip(Window, spare, strict=True)),
        byok=dict(zip(Window, byok, strict=True)),
        calls=spend.calls,
    )


def spend_of(
    tally: Tally, account: AccountId, project: ProjectId, key_id: KeyId, now_ms: int
) -> Spend:
    """Return what the directory shows of a key; `now_ms` lies in the day of `tally`."""
    return Spend(account=account, project=project, key_id=key_id, at_ms=now_ms, **_sums(tally))


def mark_spend_of(tally: Tally, account: AccountId, scope: str, now_ms: int) -> MarkSpend:
    """Return what the directory shows of an end user or a tag; `now_ms` lies in the day of `tally`."""
    return MarkSpend(account=account, scope=scope, at_ms=now_ms, **_sums(tally))


def _sums(tally: Tally) -> dict[str, Any]:
    """Return the amounts by the names that a message has for them."""
    sums: dict[str, Any] = {"calls": tally.calls, "total_usd": tally.spent[Window.TOTAL]}
    for kind, amounts in (("held", tally.held), ("spare", tally.spare), ("byok", tally.byok)):
        sums[f"{kind}_usd"] = amounts[Window.TOTAL]
    for window, name in PERIODS.items():
        sums[f"{name}_usd"] = tally.spent[window]
        sums[f"held_{name}_usd"] = tally.held[window]
        sums[f"spare_{name}_usd"] = tally.spare[window]
        sums[f"byok_{name}_usd"] = tally.byok[window]
    return sums
