"""The audit of credits that expire. Three records must agree on each lot: journal, credits and what is left. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from typing_extensions import override

from crossdock_schemas.accounts.credit import Credit, CreditKind, Lots
from crossdock_schemas.money import usd_text
from crossdock_schemas.times import utc

NOTHING = Decimal(0)


class ExpiringLot(NamedTuple):
    """Credits of an organization that expire at the same time."""

    account: str
    expires_at_ms: int

    @override
    def __str__(self) -> str:
        end = utc(self.expires_at_ms)
        return f"{self.account} {end:%Y-%m-%dT%H:%M:%SZ}"


class LotTotals(NamedTuple):
    """USD that were credited, and USD that were written off."""

    credits: Decimal = NOTHING
    lapsed: Decimal = NOTHING

    @override
    def __str__(self) -> str:
        return f"{usd_text(self.credits)} USD less {usd_text(self.lapsed)} USD"


class WrongLapse(NamedTuple):
    """A write-off that should not be."""

    account: str
    reason: str
    amount_usd: Decimal


@dataclass
class Expiries:
    """All lots as of one time."""

    booked: Mapping[ExpiringLot, LotTotals] = field(default_factory=dict)
    """By the journal, in ClickHouse."""
    shard: Mapping[ExpiringLot, LotTotals] = field(default_factory=dict)
    """By the shards' credits, in the directory."""
    left: Mapping[ExpiringLot, Decimal] = field(default_factory=dict)
    """By the shards' lots, in the directory."""
    wrong: Sequence[WrongLapse] = ()
    """Write-offs that ClickHouse finds too early, too late or too large."""


def totals_by_lot(credits: Iterable[Credit]) -> dict[ExpiringLot, LotTotals]:
    """Return what was credited to each lot, and what was written off."""
    found: dict[ExpiringLot, LotTotals] = {}
    for credit in credits:
        if credit.expires_at_ms is not None:
            lot = ExpiringLot(credit.account, credit.expires_at_ms)
            credited, lapsed = found.get(lot, LotTotals())
            if credit.kind is CreditKind.LAPSE:
                found[lot] = LotTotals(credited, lapsed - credit.amount_usd)
            else:
                found[lot] = LotTotals(credited + credit.amount_usd, lapsed)
    return found


def left_by_lot(all_lots: Iterable[Lots]) -> dict[ExpiringLot, Decimal]:
    """Return what is left of each lot, to be spent or to be written off."""
    return {
        ExpiringLot(lots.account, lot.expires_at_ms): lot.left_usd + lot.lapsing_usd
        for lots in all_lots
        for lot in lots.lots
    }


def compare(found: Expiries) -> tuple[dict[str, int | Decimal], list[str]]:
    """Return the figures, and the differences."""
    lots = sorted(found.booked.keys() | found.shard.keys() | found.left.keys())
    wrong = [f"{row.account}: {usd_text(row.amount_usd)} USD, {row.reason}" for row in found.wrong]
    wrong += [reason for lot in lots if (reason := _why_wrong(found, lot)) is not None]
    figures: dict[str, int | Decimal] = {
        "lots": len(lots),
        "credits_usd": sum((totals.credits for totals in found.booked.values()), NOTHING),
        "lapsed_usd": sum((totals.lapsed for totals in found.booked.values()), NOTHING),
        "left_usd": sum(found.left.values(), NOTHING),
        "differing": len(wrong),
    }
    return figures, wrong


def _why_wrong(found: Expiries, lot: ExpiringLot) -> str | None:
    """Journal and shard agree on a lot, and what is left of it is between 0 and what is not written off."""
    booked, shard = found.booked.get(lot, LotTotals()), found.shard.get(lot, LotTotals())
    left = found.left.get(lot, NOTHING)
    if booked != shard:
        return f"{lot}: journal {booked}, shard {shard}"
    if not NOTHING <= left <= booked.credits - booked.lapsed:
        return f"{lot}: {booked}, but {usd_text(left)} USD left"
    return None
