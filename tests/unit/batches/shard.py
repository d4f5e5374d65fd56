"""The batches' core between a compacted topic and its background work, all at hand."""

from collections import Counter
from collections.abc import Iterable, Sequence

from crossdock.batches.core.background_results import (
    Effect,
    Fact,
    LinesRead,
    Validate,
    Validated,
)
from crossdock.batches.core.decisions import BatchesCore
from crossdock.batches.core.line_index import Span
from crossdock.kernel.process.record import Outgoing, Page, Step
from crossdock_schemas.batches.batch import Batch
from crossdock_schemas.codec import decode_envelope
from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.parcel.result import Outcome, ResultGroup
from support.builders import (
    BATCH,
    DAY_S,
    NOW_MS,
    make_group,
    make_line,
    make_result,
    make_submitted,
)

PARCEL_LINES = 4
WINDOW = 16
EXPIRED_MS = NOW_MS + DAY_S * 1000


class Shard:
    """The core between a compacted topic and its background work, all at hand."""

    def __init__(self, models: dict[str, int], *, window: int = WINDOW) -> None:
        self.models = models
        self.window = window
        self.pages: dict[bytes, bytes] = {}
        self.sent: list[Outgoing] = []
        self.wanted: list[Effect] = []
        self.core = self._new()

    def _new(self) -> BatchesCore:
        return BatchesCore(0, parcel_lines=PARCEL_LINES, window_lines=self.window)

    def crash(self) -> None:
        """Lose everything but the pages; what ran in the background is lost too."""
        self.core = self._new()
        self.core.restore([Page(key, value) for key, value in self.pages.items()])
        self.wanted = []

    def step(self, now_ms: int = NOW_MS) -> Step:
        """Do what is due, and commit it."""
        self.wanted += self.core.advance(now_ms)
        step = self.core.finish(now_ms)
        self.sent += step.outgoing
        for key, value in step.pages:
            if value is None:
                self.pages.pop(key, None)
            else:
                self.pages[key] = value
        return step

    def work(self, now_ms: int = NOW_MS) -> None:
        """Carry out all background work that is wanted, and learn what it found."""
        wanted, self.wanted = self.wanted, []
        for effect in wanted:
            self.core.learn(self.carry_out(effect), now_ms)

    def carry_out(self, effect: Effect) -> Fact:
        if isinstance(effect, Validate):
            return Validated(effect.batch_id, tuple(self.models.items()))
        first = sum(list(self.models.values())[: effect.model_number]) + effect.start
        lines = tuple(
            (Span(n, n * 10, 9), make_line(n)) for n in range(first, first + effect.count)
        )
        return LinesRead(effect.batch_id, effect.model, effect.start, lines)

    def collect(self, lines: Iterable[int], outcome: Outcome = Outcome.COMPLETED) -> list[bytes]:
        """Take in results; return the output lines that were new."""
        results = [make_result(n, model=self.model_of(n), outcome=outcome) for n in lines]
        outputs = [b"answer %d" % result.line for result in results]
        found = self.core.collect(make_group(results), outputs)
        return found.output + found.error

    def model_of(self, line: int) -> str:
        for model, count in self.models.items():
            if line < count:
                return model
            line -= count
        raise AssertionError(line)

    @property
    def fed(self) -> list[int]:
        """Every line that left as part of a parcel, as often as it did."""
        parcels = [decode_envelope(r.headers, Parcel) for r in self.sent if r.topic == "requests"]
        return [line for parcel in parcels for line in parcel.lines]

    @property
    def ended(self) -> list[tuple[int, Outcome]]:
        """Every line that ended without running."""
        groups = [
            decode_envelope(record.headers, ResultGroup)
            for record in self.sent
            if record.topic == "batches.results"
        ]
        return [(result.line, result.outcome) for group in groups for result in group.results]

    @property
    def batch(self) -> Batch:
        return Batch.from_json(self.pages[BATCH.encode()])


def running(models: dict[str, int], *, window: int = WINDOW) -> Shard:
    """Return a shard whose batch is validated and begins to feed."""
    shard = Shard(models, window=window)
    shard.core.submit(make_submitted())
    shard.step()
    shard.work()
    shard.step()
    return shard


def topics(records: Sequence[Outgoing]) -> Counter[str]:
    return Counter(record.topic for record in records)
