"""The view of the topic `cancels`: batches, requests and keys that must not be called any more."""

from collections import OrderedDict

from pydantic import ValidationError

from crossdock.kernel.drivers.kafka.tail import pass_over
from crossdock.kernel.process.record import Record
from crossdock_schemas.calls.cancel import Cancelled
from crossdock_schemas.parcel.parcel import Parcel

KEEP_MS = (
    608_400_000  # 7 days and an hour: the longest completion window, and an hour for late records
)
MAX_COUNT = 200_000  # about 30 MB; the oldest go first


class Cancels:
    """Ids of cancelled batches and single requests and of disabled keys, of the last days."""

    def __init__(self, *, max_count: int = MAX_COUNT) -> None:
        self._at_ms: OrderedDict[str, int] = OrderedDict()
        self._max_count = max_count

    def __len__(self) -> int:
        return len(self._at_ms)

    def apply(self, record: Record) -> None:
        """Apply a record of the topic."""
        try:
            cancelled = Cancelled.from_json(record.value or b"")
        except ValidationError as error:
            pass_over(record, error)
            return
        if cancelled.is_lifted:
            self._at_ms.pop(cancelled.id, None)
            return
        self._at_ms[cancelled.id] = cancelled.at_ms
        while self._at_ms and (
            len(self._at_ms) > self._max_count or self._oldest_ms() < cancelled.at_ms - KEEP_MS
        ):
            self._at_ms.popitem(last=False)

    def holds(self, parcel: Parcel) -> bool:
        """Return whether `parcel` must not be called."""
        return self.has(parcel.batch_id or parcel.request_id) or self.has(parcel.key_id)

    def has(self, identifier: str | None) -> bool:
        return identifier in self._at_ms

    def _oldest_ms(self) -> int:
        return next(iter(self._at_ms.values()))
