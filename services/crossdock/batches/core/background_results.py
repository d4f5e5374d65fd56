"""Background work of a partition, and its results: the core applies them like records, but they are never replayed."""

from dataclasses import dataclass

from crossdock.batches.core.line_index import Span
from crossdock_schemas.batches.batch import LineError
from crossdock_schemas.ids import BatchId
from crossdock_schemas.pricing.estimate import Estimate


@dataclass(frozen=True, slots=True)
class Validated:
    """The input is valid: `models` with their line counts, in the order of their indexes, and the estimated cost."""

    batch_id: BatchId
    models: tuple[tuple[str, int], ...]
    estimate: Estimate | None = None
    prepared_path: str | None = None
    """Object with the prepared lines, if there are any."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The input is invalid."""

    batch_id: BatchId
    errors: tuple[LineError, ...]


@dataclass(frozen=True, slots=True)
class LinesRead:
    """Lines [start, start + len) of a model's index. Bytes are None for a line that goes by reference."""

    batch_id: BatchId
    model: str
    start: int
    lines: tuple[tuple[Span, bytes | None], ...]


Fact = Validated | Rejected | LinesRead


@dataclass(frozen=True, slots=True)
class Validate:
    """Effect: check the input of a batch."""

    batch_id: BatchId


@dataclass(frozen=True, slots=True)
class ReadLines:
    """Effect: read `count` lines of a model from index position `start` on."""

    batch_id: BatchId
    model: str
    model_number: int
    start: int
    count: int
    whole: bool
    """Read large lines too: the lines are to end, and their results need their custom_ids."""


Effect = Validate | ReadLines
