"""Where the lines of a batch lie: in its input, and behind it those that were prepared. Pure.

Offsets of an index count over both: from the input's length on they mean the prepared object. Prepared is everything
from the first line on that preparation changed, so that neighbours stay neighbours.
"""

from itertools import groupby
from typing import NamedTuple

from crossdock.batches.core.line_index import Span
from crossdock_schemas.batches.batch import Batch


class Place(NamedTuple):
    path: str
    start: int


class Places(NamedTuple):
    """Of one batch."""

    input_path: str
    input_bytes: int
    prepared_path: str | None = None

    def find(self, offset: int) -> Place:
        """Return the object that `offset` means, and the offset there."""
        if self.prepared_path is not None and offset >= self.input_bytes:
            return Place(self.prepared_path, offset - self.input_bytes)
        return Place(self.input_path, offset)

    def apart(self, spans: list[Span]) -> list[list[Span]]:
        """Return runs of neighbours that lie in one object."""
        runs = groupby(spans, key=lambda span: self.find(span.offset).path)
        return [list(run) for _, run in runs]


def places_of(batch: Batch) -> Places:
    return Places(batch.input_path or "", batch.input_bytes, batch.prepared_path)


def prepared_path(batch_id: str) -> str:
    return f"batches/{batch_id}/prepared"
