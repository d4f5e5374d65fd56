"""Did credits expire as they should? Pure: the journal, the shards' credits and their lots, held against each other."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from typing_extensions import override

from crossdock_schemas.accounts.credit import Credit, CreditKind, Lots
from crossdock_schemas.money import usd_text

NOTHING = Decimal(0)


class Lot(NamedTuple):
    """Credits of an organization that expire at the same time."""

    account: str
    expires_at_ms: int

    @override
    def __str__(self) -> str:
        end = datetime.fromtimestamp(self.expires_at_ms / 1000, UTC)
        return f"{self.account} {end:%Y-%m-%dT%H:%M:%SZ}"


class Sums(NamedTuple):
    """USD: what came, and what of it was written off."""

    credits: Decimal = NOTHING
    lapsed: Decimal = NOTHING


class Wrong(NamedTuple):
    """A write-off that should not be."""

    account: str
    reason: str
    amount_usd: Decimal


@dataclass
class Expiries:
    """What was found at one time."""

    booked: Mapping[Lot, Sums] = field(default_factory=dict)
    """By the journal, in ClickHouse."""
    told: Mapping[Lot, Sums] = field(default_factory=dict)
    """By the shards' credits, in the directory."""
    left: Mapping[Lot, Decimal] = field(default_factory=dict)
    """By the shards' lots, in the directory."""
    wrong: Sequence[Wrong] = ()
    """By ClickHouse."""


def sums_of(credits: Iterable[Credit]) -> dict[Lot, Sums]:
    """Return what came of each lot, and what was written off."""
    found: dict[Lot, Sums] = {}
    for credit in credits:
        if credit.expires_at_ms is not None:
            lot = Lot(credit.account, credit.expires_at_ms)
            came, lapsed = found.get(lot, Sums())
            if credit.kind is CreditKind.LAPSE:
                found[lot] = Sums(came, lapsed - credit.amount_usd)
            else:
                found[lot] = Sums(came + credit.amount_usd, lapsed)
    return found


def left_of(told: Iterable[Lots]) -> dict[Lot, Decimal]:
    """Return what is left of each lot: it may be spent, or is to be written off."""
    return {
        Lot(lots.account, lot.expires_at_ms): lot.left_usd + lot.lapsing_usd
        for lots in told
        for lot in lots.lots
    }


def compare(found: Expiries) -> tuple[dict[str, int | Decimal], list[str]]:
    """Return the figures, and what is wrong."""
    lots = sorted(found.booked.keys() | found.told.keys() | found.left.keys())
    wrong = [f"{row.account}: {usd_text(row.amount_usd)} USD, {row.reason}" for row in found.wrong]
    wrong += [reason for lot in lots if (reason := _why_wrong(found, lot)) is not None]
    figures: dict[str, int | Decimal] = {
        "lots": len(lots),
        "credits_usd": sum((sums.credits for sums in found.booked.values()), NOTHING),
        "lapsed_usd": sum((sums.lapsed for sums in found.booked.values()), NOTHING),
        "left_usd": sum(found.left.values(), NOTHING),
        "differing": len(wrong),
    }
    return figures, wrong


def _why_wrong(found: Expiries, lot: Lot) -> str | None:
    booked, told = found.booked.get(lot, Sums()), found.told.get(lot, Sums())
    left = found.left.get(lot, NOTHING)
    if booked != told:
        return f"{lot}: journal {_text(booked)}, shard {_text(told)}"
    if not NOTHING <= left <= booked.credits - booked.lapsed:
        return f"{lot}: {_text(booked)}, but {usd_text(left)} USD left"
    return None


def _text(sums: Sums) -> str:
    return f"{usd_text(sums.credits)} USD less {usd_text(sums.lapsed)} USD"
