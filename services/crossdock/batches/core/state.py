"""The state of one batch, in pages of the compacted topic."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice

from crossdock.batches.core.done_bitmap import DoneBitmap
from crossdock.kernel.process.grouping import cut
from crossdock.kernel.process.record import Page
from crossdock_schemas.batches.batch import (
    PARTS_PER_PAGE,
    Batch,
    BatchStatus,
    LineError,
    LinesReturned,
    ModelProgress,
    Part,
    PartsPage,
    WaitReason,
)
from crossdock_schemas.ids import ExecutionId
from crossdock_schemas.tokens import Tokens

STORED = ("model", "total", "fed", "done", "may_feed", "wait_reason", "again", "repeats")
"""Fields of a model's lines that a batch's page has too, besides `returned`."""
MAX_MESSAGE = 1000  # characters of an error of a line
MAX_ERRORS_BYTES = 524_288  # of the errors of a failed batch: the first ones are kept
MAX_REPEATS = (
    4096  # calls of unknown end that a batch remembers; a later one is repeated without that mark
)
MAX_ENTRY_BYTES = (
    900_000  # of a batch's page; its largest part is the list of returned lines of each model
)


@dataclass
class ModelLines:
    """The lines of one model in a batch. Fed lines are a prefix of the model's index; done lines are counted."""

    model: str
    number: int
    total: int
    fed: int = 0
    done: int = 0
    returned: list[tuple[int, int]] = field(default_factory=list)
    """Lines that came back for lack of headroom: place and count, in the order in which they are fed again."""
    may_feed: int | None = None
    """Lines that may be fed while the headroom is short; None: no limit."""
    wait_reason: WaitReason | None = None
    again: int = 0
    """How often lines came back."""
    repeats: dict[int, ExecutionId] = field(default_factory=dict)
    """By line that came back: the call of unknown end that the next call repeats."""
    reading: bool = False
    """A read is under way; not stored."""

    @property
    def on_their_way(self) -> int:
        return self.fed - self.done - self.came_back

    @property
    def came_back(self) -> int:
        return sum(count for _, count in self.returned)

    @property
    def behind(self) -> int:
        """Lines that wait for headroom."""
        return 0 if self.may_feed is None else self.came_back + self.total - self.fed

    def next_lines(self) -> tuple[int, int]:
        """Return the place and the count of the lines to feed next: those that came back go first."""
        return self.returned[0] if self.returned else (self.fed, self.total - self.fed)

    def take(self, start: int, count: int) -> bool:
        """Feed lines from `start` on; False if they are not the next ones."""
        next_start, most = self.next_lines()
        if start != next_start or count > most:
            return False
        if not self.returned:
            self.fed += count
        elif count == most:
            del self.returned[0]
        else:
            self.returned[0] = (start + count, most - count)
        if self.may_feed is not None:
            self.may_feed = max(0, self.may_feed - count)
        return True

    def give_back(self, lines: LinesReturned) -> None:
        """Take lines back that have no headroom: they wait, and no line is fed until some are granted."""
        start, count, reason = lines.position, lines.count, lines.reason
        self.again += 1
        if self.returned and sum(self.returned[-1]) == start:
            start, count = self.returned[-1][0], self.returned.pop()[1] + count
        self.returned.append((start, count))
        self.may_feed = 0
        since = self.wait_reason.since_ms if self.wait_reason is not None else reason.since_ms
        self.wait_reason = reason.model_copy(update={"since_ms": since})

    def grant(self, lines: int | None) -> None:
        """Let so many more lines be fed; None: all."""
        if lines is None:
            self.may_feed = self.wait_reason = None
        elif self.may_feed is not None:
            self.may_feed += lines


@dataclass
class BatchState:
    """A batch, as its shard knows it. `head` has what does not change while lines run."""

    head: Batch
    models: dict[str, ModelLines] = field(default_factory=dict)
    done: DoneBitmap = field(init=False)
    completed: int = 0
    failed: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    cost_usd: Decimal = Decimal(0)
    parts: dict[str, list[Part]] = field(default_factory=lambda: {"output": [], "error": []})
    part_bytes: dict[str, int] = field(default_factory=lambda: {"output": 0, "error": 0})
    changed: bool = True
    moved: bool = False
    """Its status changed."""
    changed_parts: set[tuple[str, int]] = field(default_factory=set)
    announced: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.done = DoneBitmap(self.head.batch_id)

    @property
    def status(self) -> BatchStatus:
        return self.head.status

    @property
    def total(self) -> int:
        return self.head.total

    @property
    def is_settled(self) -> bool:
        """Return whether every line has ended."""
        return self.completed + self.failed == self.total

    def move(self, status: BatchStatus, **stamps: int) -> None:
        self.head = self.head.model_copy(update={"status": status, **stamps})
        self.changed = self.moved = True

    def fail(self, errors: tuple[LineError, ...], now_ms: int) -> None:
        """End the batch with `errors`, as many as its directory entry takes."""
        self.models = {}
        kept = next(cut(map(_clipped, errors), _size, max_bytes=MAX_ERRORS_BYTES), [])
        self.head = self.head.model_copy(update={"errors": tuple(kept)})
        self.move(BatchStatus.FAILED, failed_at_ms=now_ms)

    def give_back(self, lines: LinesReturned) -> None:
        """Take lines of a model back that have no headroom."""
        model_lines = self.models[lines.model]
        free = MAX_REPEATS - sum(len(one.repeats) for one in self.models.values())
        model_lines.repeats |= islice(lines.repeats.items(), max(0, free))
        model_lines.give_back(lines)
        self.changed = True

    def add_part(self, kind: str, part: Part) -> None:
        self.changed_parts.add((kind, len(self.parts[kind]) // PARTS_PER_PAGE))
        self.parts[kind].append(part)
        self.part_bytes[kind] += part.bytes
        self.changed = True

    def to_batch(self) -> Batch:
        """Return the directory's entry."""
        return self.head.model_copy(
            update={
                "completed": self.completed,
                "failed": self.failed,
                "tokens": self.tokens,
                "cost_usd": self.cost_usd,
                "models": tuple(
                    ModelProgress(
                        **{name: getattr(lines, name) for name in STORED},
                        returned=tuple(lines.returned),
                    )
                    for lines in self.models.values()
                ),
                "output_bytes": self.part_bytes["output"],
                "error_bytes": self.part_bytes["error"],
                "output_parts": len(self.parts["output"]),
                "error_parts": len(self.parts["error"]),
            }
        )

    def forget_details(self) -> list[bytes]:
        """Forget all but the head, and return the keys of the pages that are no longer needed."""
        batch_id = self.head.batch_id
        keys = [self.done.pages.page_key(number) for number in self.done.pages]
        for kind, parts in self.parts.items():
            keys += [parts_key(batch_id, kind, n) for n in range(-(-len(parts) // PARTS_PER_PAGE))]
            self.parts[kind] = []
        self.done = DoneBitmap(batch_id)
        return keys

    def take_parts_pages(self) -> list[PartsPage]:
        """Return the pages of the parts' lists that changed since the last call."""
        pages = [
            PartsPage(
                batch_id=self.head.batch_id,
                kind="output" if kind == "output" else "error",
                page=page,
                parts=tuple(self.parts[kind][page * PARTS_PER_PAGE : (page + 1) * PARTS_PER_PAGE]),
            )
            for kind, page in sorted(self.changed_parts)
        ]
        self.changed_parts.clear()
        return pages


def _clipped(error: LineError) -> LineError:
    """Return `error` without the end of a long message: it may repeat a value of the input."""
    if len(error.message) <= MAX_MESSAGE and len(error.param or "") <= MAX_MESSAGE:
        return error
    param = None if error.param is None else error.param[:MAX_MESSAGE]
    return error.model_copy(update={"message": error.message[:MAX_MESSAGE], "param": param})


def _size(error: LineError) -> int:
    return len(error.to_json()) + 1


def parts_key(batch_id: str, kind: str, page: int) -> bytes:
    return f"{batch_id}/{kind}/{page}".encode()


def restore_states(pages: Iterable[Page]) -> dict[str, BatchState]:
    """Return the batches that are stored in `pages`, by id."""
    states: dict[str, BatchState] = {}
    details: list[tuple[str, str, int, Page]] = []
    for page in pages:
        batch_id, kind, number = (*page.key.decode().split("/"), "", "")[:3]
        if page.value is None:
            continue
        if kind:
            details.append((batch_id, kind, int(number), page))
        else:
            states[batch_id] = _restored(Batch.from_json(page.value))
    for batch_id, kind, _, page in sorted(details):
        if batch_id in states:
            _restore_detail(states[batch_id], kind, page)
    return states


def _restored(batch: Batch) -> BatchState:
    state = BatchState(
        batch,
        completed=batch.completed,
        failed=batch.failed,
        tokens=batch.tokens,
        cost_usd=batch.cost_usd,
        changed=False,
    )
    for number, model in enumerate(batch.models):
        fields = {name: getattr(model, name) for name in STORED}
        state.models[model.model] = ModelLines(
            number=number, returned=list(model.returned), **fields
        )
    return state


def _restore_detail(state: BatchState, kind: str, page: Page) -> None:
    if kind == "done":
        state.done.pages.restore([page])
        return
    parts = PartsPage.from_json(page.value or b"").parts
    state.parts[kind] += parts
    state.part_bytes[kind] += sum(part.bytes for part in parts)
    state.announced.add(kind)
