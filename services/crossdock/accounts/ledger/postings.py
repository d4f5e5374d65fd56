"""Postings: the two sides of what is booked, in entries that fit into a record. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic_core import to_json

from crossdock.kernel.process.grouping import cut
from crossdock_schemas.accounts.credit import Credit, CreditKind
from crossdock_schemas.accounts.journal import Ledger, Posting
from crossdock_schemas.ids import KeyId, ProjectId
from crossdock_schemas.money import Units, to_usd
from crossdock_schemas.windows import date_of, day_of

MAX_ENTRY_BYTES = (
    500_000  # of an entry's postings; both sides of one may have 340 KB of attribution alone
)
POSTING_BYTES = 400  # of a posting at most, besides its attribution
_AGAINST = {
    CreditKind.TOP_UP: Ledger.PAYMENT,
    CreditKind.REFUND: Ledger.PAYMENT,
    CreditKind.GRANT: Ledger.GRANTED,
    CreditKind.ADJUSTMENT: Ledger.GRANTED,
    CreditKind.LAPSE: Ledger.LAPSED,
}
"""The other side of credits."""


class PostingPlace(NamedTuple):
    """The place of a posting in the books; `provider` is empty for holds."""

    project: ProjectId
    key_id: KeyId
    provider: str
    day: int
    is_byok: bool = False
    scopes: tuple[str, ...] = ()
    """Its attribution."""


@dataclass
class EntrySums:
    """An entry in the making: amounts by place."""

    spent: dict[PostingPlace, Units] = field(default_factory=dict)
    held: dict[PostingPlace, Units] = field(default_factory=dict)
    count: int = 0


def credit_postings(credit: Credit) -> tuple[Posting, ...]:
    """Return the sides of a credit; a payment covers the fee too."""
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
    """Cut the postings of an entry where it would become too long for a record; each part adds up to 0."""
    pairs = zip(postings[::2], postings[1::2], strict=True)
    for group in cut(pairs, _most_bytes, max_bytes=MAX_ENTRY_BYTES):
        yield tuple(posting for pair in group for posting in pair)


def _most_bytes(sides: tuple[Posting, Posting]) -> int:
    marks = sides[0].marks
    return 2 * (POSTING_BYTES + (len(to_json(marks)) if marks else 0))


def both_sides(ledger: Ledger, other: Ledger, sums: dict[PostingPlace, Units]) -> Iterable[Posting]:
    """Yield a posting to `ledger` for each amount, and its opposite to `other`."""
    for place, amount in sums.items():
        if amount:
            for side, signed in ((ledger, to_usd(amount)), (other, to_usd(-amount))):
                yield Posting(
                    ledger=side,
                    project=place.project,
                    key_id=place.key_id,
                    provider=place.provider,
                    is_byok=place.is_byok,
                    marks=place.scopes,
                    day=date_of(place.day),
                    amount_usd=signed,
                )
