"""Postings: the two sides of what is booked, and entries that a record has room for. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from crossdock_schemas.accounts.credit import Credit, CreditKind
from crossdock_schemas.accounts.journal import Ledger, Posting
from crossdock_schemas.ids import KeyId, ProjectId
from crossdock_schemas.windows import date_of, day_of

MAX_ENTRY_BYTES = 500_000  # a record has 1 MiB at most, and one posting's marks may be 200 KiB
POSTING_BYTES = 400
_AGAINST = {
    CreditKind.TOP_UP: Ledger.PAYMENT,
    CreditKind.REFUND: Ledger.PAYMENT,
    CreditKind.GRANT: Ledger.GRANTED,
    CreditKind.ADJUSTMENT: Ledger.GRANTED,
    CreditKind.LAPSE: Ledger.LAPSED,
}
"""Where credits come from, or go to."""


class Place(NamedTuple):
    """What a posting is of; `provider` is empty for what is held."""

    project: ProjectId
    key_id: KeyId
    provider: str
    day: int
    is_byok: bool = False
    marks: tuple[str, ...] = ()
    """What it counts for besides its key."""


@dataclass
class Sums:
    """An entry in the making: amounts by place, USD."""

    spent: dict[Place, Decimal] = field(default_factory=dict)
    held: dict[Place, Decimal] = field(default_factory=dict)
    count: int = 0


def credit_postings(credit: Credit) -> tuple[Posting, ...]:
    """Return the sides of a credit: who pays pays the fee too."""
    amounts = (
        (Ledger.CREDITS, credit.amount_usd, credit.expires_at_ms),
        (Ledger.FEE, credit.fee_usd, None),
        (_AGAINST[credit.kind], -credit.amount_usd - credit.fee_usd, None),
    )
    day = date_of(day_of(credit.at_ms))
    return tuple(
        Posting(ledger=ledger, day=day, amount_usd=amount, expires_at_ms=end_ms)
        for ledger, amount, end_ms in amounts
        if amount
    )


def parts_of(postings: Sequence[Posting]) -> Iterator[tuple[Posting, ...]]:
    """Cut the postings of an entry where it would become too long for a record: each part adds up to nothing."""
    part: list[Posting] = []
    size = 0
    for first, other in zip(postings[::2], postings[1::2], strict=True):
        if size >= MAX_ENTRY_BYTES:
            yield tuple(part)
            part, size = [], 0
        part += (first, other)
        size += 2 * (POSTING_BYTES + sum(4 * len(mark) for mark in first.marks))
    if part:
        yield tuple(part)


def both_sides(ledger: Ledger, other: Ledger, sums: dict[Place, Decimal]) -> Iterable[Posting]:
    """Yield what each amount posts: to `ledger`, and its opposite to the `other`."""
    for place, amount in sums.items():
        if amount:
            for side, signed in ((ledger, amount), (other, -amount)):
                yield Posting(
                    ledger=side,
                    project=place.project,
                    key_id=place.key_id,
                    provider=place.provider,
                    is_byok=place.is_byok,
                    marks=place.marks,
                    day=date_of(place.day),
                    amount_usd=signed,
                )
