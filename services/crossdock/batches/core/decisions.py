"""The pure core of the batches shard: state, commands, results and facts in; records, pages and effects out."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from crossdock.batches.core.background_results import (
    Effect,
    Fact,
    LinesRead,
    ReadLines,
    Rejected,
    Validate,
    Validated,
)
from crossdock.batches.core.line_feeder import Line, cut, end_lines, make_cancel, make_parcel
from crossdock.batches.core.output_length_history import OutputLengthHistory
from crossdock.batches.core.publication import Publication
from crossdock.batches.core.state import BatchState, ModelLines, restore_states
from crossdock.kernel.process.record import Outgoing, Page, Step
from crossdock.kernel.runtime.shard.step_builder import StepBuilder
from crossdock_schemas.batches.batch import (
    Batch,
    BatchStatus,
    CancelAsked,
    Granted,
    LineError,
    LinesReturned,
    Part,
    Submitted,
)
from crossdock_schemas.ids import BatchId
from crossdock_schemas.parcel.result import Outcome, Result, ResultGroup

READ_LINES = 1024  # of one read: each read costs a fact, and large ones delay the step


@dataclass
class CollectedLines:
    """New output lines of one batch; they are written to parts before the commit."""

    output: list[bytes] = field(default_factory=list)
    error: list[bytes] = field(default_factory=list)


class BatchesCore:
    """The batches of one partition. Every method is deterministic: time is an argument."""

    def __init__(self, partition: int, *, parcel_lines: int, window_lines: int) -> None:
        self._partition = partition
        self._parcel_lines = parcel_lines
        self._window_lines = window_lines
        self.states: dict[str, BatchState] = {}
        self.output_lengths = OutputLengthHistory()
        self._live: dict[str, BatchState] = {}
        self._step = StepBuilder()
        self._publication = Publication(partition, self._step)
        self._validating: set[str] = set()

    def restore(self, pages: Iterable[Page]) -> None:
        found = list(pages)
        self.output_lengths.pages.restore(found)
        self.states = restore_states(p for p in found if not self.output_lengths.pages.owns(p))
        self._live = {name: s for name, s in self.states.items() if not s.status.is_final}

    @property
    def open_batches(self) -> int:
        return len(self._live)

    # commands and results

    def submit(self, asked: Submitted) -> None:
        """Begin a batch; a repeated id changes nothing."""
        if asked.batch_id in self.states:
            return
        state = BatchState(Batch.begun(asked))
        self.states[asked.batch_id] = self._live[asked.batch_id] = state

    def cancel(self, asked: CancelAsked, now_ms: int) -> None:
        state = self._live.get(asked.batch_id)
        if state is not None and state.status in (BatchStatus.VALIDATING, BatchStatus.IN_PROGRESS):
            state.move(BatchStatus.CANCELLING, cancelling_at_ms=now_ms)
            self._step.send(make_cancel(asked.batch_id, now_ms))

    def take_back(self, returned: LinesReturned) -> None:
        """Take back lines that have no headroom now."""
        state = self._live.get(returned.batch_id)
        if state is not None:
            state.give_back(returned)

    def grant(self, granted: Granted) -> None:
        """Let waiting lines be fed again."""
        state = self._live.get(granted.batch_id)
        if state is not None:
            state.models[granted.model].grant(granted.lines)
            state.changed = True

    def collect(self, group: ResultGroup, lines: list[bytes]) -> CollectedLines:
        """Mark the lines of `group` done, and return the new ones for the output; repeated results are dropped."""
        collected = CollectedLines()
        state = self._live.get(group.batch_id or "")
        if state is None:
            return collected
        for result, line in zip(group.results, lines, strict=True):
            if state.done.add(result.line):
                self._count(state, result)
                self.output_lengths.note(group.account, result)
                kind = collected.output if result.outcome is Outcome.COMPLETED else collected.error
                kind.append(line)
        return collected

    @staticmethod
    def _count(state: BatchState, result: Result) -> None:
        if result.outcome is Outcome.COMPLETED:
            state.completed += 1
        else:
            state.failed += 1
        state.tokens = state.tokens + result.tokens
        state.cost_usd += result.cost_usd
        model_lines = state.models.get(result.model)
        if model_lines is not None:
            model_lines.done += 1
        state.changed = True

    def add_part(self, batch_id: str, kind: str, part: Part) -> None:
        """List a part that was stored, in the transaction that marks its lines done."""
        self.states[batch_id].add_part(kind, part)

    # facts

    def learn(self, fact: Fact, now_ms: int) -> None:
        """Apply a result of background work; an outdated one is dropped."""
        state = self._live.get(fact.batch_id)
        if state is None:
            return
        if isinstance(fact, Validated):
            self._validated(state, fact, now_ms)
        elif isinstance(fact, Rejected):
            self._rejected(state, fact, now_ms)
        else:
            self._read(state, fact, now_ms)

    def _validated(self, state: BatchState, fact: Validated, now_ms: int) -> None:
        if state.models:
            return
        if state.status is BatchStatus.CANCELLING:
            # why: prepared lines contain what the input contains, and are deleted with it by this path
            state.head = state.head.model_copy(update={"prepared_path": fact.prepared_path})
            state.move(BatchStatus.CANCELLED, cancelled_at_ms=now_ms)
            return
        for number, (model, total) in enumerate(fact.models):
            state.models[model] = ModelLines(model, number, total)
        total = sum(count for _, count in fact.models)
        found = {"total": total, "estimate": fact.estimate, "prepared_path": fact.prepared_path}
        state.head = state.head.model_copy(update=found)
        state.changed = True
        state.move(BatchStatus.IN_PROGRESS, in_progress_at_ms=now_ms)

    def _rejected(self, state: BatchState, fact: Rejected, now_ms: int) -> None:
        if state.status is BatchStatus.CANCELLING and not state.models:
            state.move(BatchStatus.CANCELLED, cancelled_at_ms=now_ms)
        elif not state.models:
            state.fail(fact.errors, now_ms)
        else:
            self.fail(fact.batch_id, fact.errors[0], now_ms)

    def is_open(self, batch_id: str) -> bool:
        return batch_id in self._live

    def fail(self, batch_id: BatchId, why: LineError, now_ms: int) -> None:
        """Fail a batch that cannot be processed; workers make no more calls for it."""
        state = self._live.get(batch_id)
        if state is not None:
            state.fail((why,), now_ms)
            self._step.send(make_cancel(batch_id, now_ms))

    def _read(self, state: BatchState, fact: LinesRead, now_ms: int) -> None:
        model_lines = state.models[fact.model]
        model_lines.reading = False
        outcome, count = _ending(state), len(fact.lines)
        is_partial = any(raw is None for _, raw in fact.lines)
        is_too_much = (
            outcome is None and model_lines.may_feed is not None and count > model_lines.may_feed
        )
        if (
            is_too_much
            or (is_partial and outcome is not None)
            or not model_lines.take(fact.start, count)
        ):
            return  # the purpose of the read has changed: read again
        state.changed = True
        position = fact.start
        for lines in cut(fact.lines, parcel_lines=self._parcel_lines):
            self._step.send(*self._send(state, model_lines, lines, position, now_ms))
            position += len(lines)

    def _send(  # which lines, and when
        self,
        state: BatchState,
        model_lines: ModelLines,
        lines: list[Line],
        position: int,
        now_ms: int,
    ) -> list[Outgoing]:
        head, model, outcome = state.head, model_lines.model, _ending(state)
        if outcome is None:
            return [make_parcel(head, model_lines, lines, now_ms, position=position)]
        return end_lines(head, model, lines, outcome, partition=self._partition, now_ms=now_ms)

    # time

    def advance(self, now_ms: int) -> list[Effect]:
        """Advance every open batch, and return the work that begins when this step is committed."""
        effects: list[Effect] = []
        for state in list(self._live.values()):
            self._expire(state, now_ms)
            self._settle(state, now_ms)
            effects += self._wanted(state)
        return effects

    @staticmethod
    def _expire(state: BatchState, now_ms: int) -> None:
        """End a batch whose window is over: lines not fed yet expire, those on their way have their own deadline."""
        if state.status is BatchStatus.IN_PROGRESS and now_ms >= state.head.expires_at_ms:
            state.move(BatchStatus.FINALIZING, finalizing_at_ms=now_ms)

    def _settle(self, state: BatchState, now_ms: int) -> None:
        if not state.models or not state.is_settled:
            return
        if state.status is BatchStatus.CANCELLING:
            state.move(BatchStatus.CANCELLED, cancelled_at_ms=now_ms)
        elif state.status is BatchStatus.FINALIZING:
            state.move(BatchStatus.EXPIRED, expired_at_ms=now_ms)
        else:
            state.move(BatchStatus.COMPLETED, finalizing_at_ms=now_ms, completed_at_ms=now_ms)

    def _wanted(self, state: BatchState) -> list[Effect]:
        batch_id = state.head.batch_id
        if not state.models:
            if state.status.is_final or batch_id in self._validating:
                return []
            self._validating.add(batch_id)
            return [Validate(batch_id)]
        wanted: list[Effect] = []
        for model_lines in state.models.values():
            read = self._read_of(model_lines, batch_id, whole=_ending(state) is not None)
            if read is not None:
                model_lines.reading = True
                wanted.append(read)
        return wanted

    def _read_of(
        self, model_lines: ModelLines, batch_id: BatchId, *, whole: bool
    ) -> ReadLines | None:
        """Return the next read of a model's lines; `whole`: the lines are to end, whatever the headroom."""
        start, most = model_lines.next_lines()
        free = self._window_lines - model_lines.on_their_way
        count = min(READ_LINES, free, most)
        is_metered = model_lines.may_feed is not None and not whole
        if is_metered:
            count = min(count, model_lines.may_feed or 0)
        # why: to wait for half a free window keeps reads large and transactions few
        is_worth_it = is_metered or free * 2 >= self._window_lines or count == most
        if count <= 0 or model_lines.reading or not is_worth_it:
            return None
        return ReadLines(batch_id, model_lines.model, model_lines.number, start, count, whole)

    def finish(self, now_ms: int) -> Step:
        """Return all records and pages of this step."""
        self._step.keep(*self.output_lengths.pages.finish())
        self._publication.publish(self._live, now_ms)
        for batch_id, state in list(self._live.items()):
            if state.status.is_final:
                self._retire(batch_id, state)
        return self._step.finish()

    def _retire(self, batch_id: str, state: BatchState) -> None:
        """Keep only the head of a final batch, which never changes. The directory lists its parts."""
        self._step.keep(*(Page(key, None) for key in state.forget_details()))
        self._validating.discard(batch_id)
        del self._live[batch_id]


def _ending(state: BatchState) -> Outcome | None:
    """Return how lines end that are not fed yet; None: they may run."""
    if state.status is BatchStatus.CANCELLING:
        return Outcome.CANCELLED
    if state.status is BatchStatus.FINALIZING:
        return Outcome.EXPIRED
    return None
