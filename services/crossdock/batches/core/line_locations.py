"""Where the lines of a batch are stored: in its input, or in the object of prepared lines. Pure.

Offsets of an index count over both: from the input's length on they are positions in the prepared object. That object
has all lines from the first one that preparation changed, so that neighbours stay neighbours.
"""

from itertools import groupby
from typing import NamedTuple

from crossdock.batches.core.line_index import Span
from crossdock_schemas.batches.batch import Batch


class ObjectPosition(NamedTuple):
    path: str
    start: int


class LineLocations(NamedTuple):
    """The objects of one batch's lines."""

    input_path: str
    input_bytes: int
    prepared_path: str | None = None

    def find(self, offset: int) -> ObjectPosition:
        """Return the object of `offset`, and the position there."""
        if self.prepared_path is not None and offset >= self.input_bytes:
            return ObjectPosition(self.prepared_path, offset - self.input_bytes)
        return ObjectPosition(self.input_path, offset)

    def runs(self, spans: list[Span]) -> list[list[Span]]:
        """Group neighbours that are in one object."""
        runs = groupby(spans, key=lambda span: self.find(span.offset).path)
        return [list(run) for _, run in runs]


def locations_of(batch: Batch) -> LineLocations:
    return LineLocations(batch.input_path or "", batch.input_bytes, batch.prepared_path)


def prepared_path(batch_id: str) -> str:
    return f"batches/{batch_id}/prepared"
