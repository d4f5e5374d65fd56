"""The shards' side of the audit: the newest record of each key of the directory. Pure."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import ValidationError

from crossdock.audit.books import AttributedScope, SpendingKey
from crossdock.audit.credit_expiry import ExpiringLot, LotTotals, left_by_lot, totals_by_lot
from crossdock.kernel.process.errors import UndecodableError
from crossdock.kernel.process.record import Record
from crossdock_schemas.accounts.credit import Credit, Lots
from crossdock_schemas.accounts.directory import kind_of
from crossdock_schemas.accounts.journal import MarkSpend, Spend

Audited = Spend | MarkSpend | Credit | Lots
"""The kinds of entity that the audit reads; records of other kinds are passed over."""
Kind = TypeVar("Kind", Spend, MarkSpend, Credit, Lots)


class ShardView:
    """The newest records that the shards published. A record that comes again counts once."""

    def __init__(self) -> None:
        self._newest: dict[bytes, Any] = {}

    def take(self, records: Iterable[Record]) -> None:
        """Apply records of the directory in their order.

        Raises:
            UndecodableError: if one of them cannot be read.
        """
        for record in records:
            key = record.key or b""
            kind = kind_of(key.decode(errors="replace"))
            if kind is not None and issubclass(kind, Audited):
                self._newest[key] = _decode(record, kind)

    def spent(self) -> dict[SpendingKey, Decimal]:
        return {SpendingKey(s.account, s.project, s.key_id): s.total_usd for s in self._all(Spend)}

    def held(self) -> dict[SpendingKey, Decimal]:
        return {SpendingKey(s.account, s.project, s.key_id): s.held_usd for s in self._all(Spend)}

    def attributed(self) -> dict[AttributedScope, Decimal]:
        """Return what is spent and held for each end user and tag."""
        found = self._all(MarkSpend)
        return {AttributedScope(s.account, s.scope): s.total_usd + s.held_usd for s in found}

    def credits(self) -> dict[str, Decimal]:
        """Return the sum of each organization's credits."""
        sums: dict[str, Decimal] = {}
        for credit in self._all(Credit):
            sums[credit.account] = sums.get(credit.account, Decimal(0)) + credit.amount_usd
        return sums

    def lot_totals(self) -> dict[ExpiringLot, LotTotals]:
        return totals_by_lot(self._all(Credit))

    def lots_left(self) -> dict[ExpiringLot, Decimal]:
        return left_by_lot(self._all(Lots))

    def _all(self, kind: type[Kind]) -> list[Kind]:
        return [message for message in self._newest.values() if isinstance(message, kind)]


def _decode(record: Record, kind: type[Audited]) -> object:
    try:
        return kind.from_json(record.value or b"")
    except ValidationError as error:
        place = (record.topic, record.partition, record.offset)
        raise UndecodableError(*place, str(error)[:500]) from error
