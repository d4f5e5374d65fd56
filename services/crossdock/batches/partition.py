"""One partition of the batches shard: it reads, checks and writes for the pure core."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import structlog
from pydantic import ValidationError

from crossdock.batches.core.background_results import Effect, Fact, Rejected, Validate
from crossdock.batches.core.decisions import BatchesCore
from crossdock.batches.core.line_check import LineRules
from crossdock.batches.core.line_locations import locations_of
from crossdock.batches.line_reader import read_lines
from crossdock.batches.settings import BatchesSettings
from crossdock.batches.validation import InputLimits, validate
from crossdock.kernel.drivers.object_store import Objects
from crossdock.kernel.drivers.store_retry import until_stored
from crossdock.kernel.process import metrics
from crossdock.kernel.process.clock import Clock
from crossdock.kernel.process.errors import NoSuchObjectError, StoreError, is_poison
from crossdock.kernel.process.health import Health
from crossdock.kernel.process.record import Outgoing, Page, Record, Step
from crossdock.kernel.runtime.dead_letters import DeadLetters
from crossdock.kernel.runtime.fair_threads import FairThreads
from crossdock.kernel.runtime.shard.isolation import OWN_WORK, Applying
from crossdock_schemas.batches.batch import (
    Batch,
    CancelAsked,
    LineError,
    LinesReturned,
    Part,
    Submitted,
    batch_command,
)
from crossdock_schemas.codec import MissingEnvelopeError, decode_envelope
from crossdock_schemas.ids import BatchId
from crossdock_schemas.parcel.output_line import compact_json, failed
from crossdock_schemas.parcel.parcel import BodyRef
from crossdock_schemas.parcel.result import Outcome, Result, ResultGroup
from crossdock_schemas.pricing.catalogue import Catalogue
from crossdock_schemas.pricing.estimate import AskTotals, Estimate, estimate
from crossdock_schemas.topics import BATCH_COMMANDS

log: structlog.stdlib.BoundLogger = structlog.get_logger()

RETRY_S = 1.0  # after the object store refused
NOT_PROCESSED = LineError(
    code="batch_not_processed",
    message="Crossdock cannot process this batch. Its operator finds the reason in the logs.",
)
LOST = compact_json(
    {
        "error": {
            "message": "The answer was paid for, but its object is missing in the store.",
            "type": "server_error",
            "param": None,
            "code": "answer_lost",
        }
    }
)
Pieces = dict[tuple[str, str], list[bytes]]
T = TypeVar("T")


class BatchesPartition:
    """Implements `kernel.runtime.shard.spec.Partition`."""

    def __init__(
        self,
        partition: int,
        settings: BatchesSettings,
        catalogue: Catalogue,
        objects: Objects,
        clock: Clock,
        *,
        health: Health,
        threads: FairThreads | None = None,
        retry_s: float = RETRY_S,
        failing: set[BatchId] | None = None,
    ) -> None:
        """`failing`: batches whose work made a step fail. They outlive this object, and the next one fails them."""
        self._failing = set[BatchId]() if failing is None else failing
        self._partition = partition
        self._health = health
        self.wake = asyncio.Event()
        self.applying: Applying = None
        self._settings = settings
        self._catalogue = catalogue
        self._objects = objects
        self._clock = clock
        self._threads = threads or FairThreads(max_waiting=None)
        self._retry_s = retry_s
        self.core = BatchesCore(
            partition, parcel_lines=settings.parcel_lines, window_lines=settings.window_lines
        )
        self._owner = secrets.token_hex(4)  # two owners never write the same part
        self._dead = DeadLetters("batches", clock)
        self._dead_now: list[Outgoing] = []
        self._facts: list[Fact] = []
        self._effects: list[Effect] = []
        self._running: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    def use(self, catalogue: Catalogue) -> None:
        """Check and estimate by `catalogue` from now on."""
        self._catalogue = catalogue

    def restore(self, pages: Iterable[Page]) -> None:
        self.core.restore(pages)
        self.wake.set()

    async def step(self, records: Sequence[Record]) -> Step:
        """Apply commands and facts first, then results.

        Raises:
            TooManyDeadLettersError: if nearly no record can be read.
        """
        if self._failure is not None:
            raise self._failure
        now_ms = self._clock.now_ms()
        pieces: Pieces = {}
        for record in records:
            if record.topic == BATCH_COMMANDS.name:
                self.applying = record
                self._command(record, now_ms)
        self.applying = OWN_WORK
        facts, self._facts = self._facts, []
        for fact in facts:
            self._learn(fact, now_ms)
        self._fail(now_ms)
        first = None
        for record in records:
            if record.topic != BATCH_COMMANDS.name:
                first = first or record
                self.applying = record
                await self._collect(record, pieces)
        self.applying = None
        if first is not None:
            await self._write(pieces, f"{first.partition:05d}-{first.offset:020d}-{self._owner}")
        self._effects = self.core.advance(now_ms)
        step = self.core.finish(now_ms)
        dead, self._dead_now = self._dead_now, []
        return Step([*step.outgoing, *dead], step.pages)

    def _learn(self, fact: Fact, now_ms: int) -> None:
        try:
            self.core.learn(fact, now_ms)
        except Exception:
            self._failing.add(fact.batch_id)
            raise

    def _fail(self, now_ms: int) -> None:
        """Fail the batches that made an earlier step fail."""
        for batch_id in list(self._failing):
            log.error("batch.given_up", batch_id=batch_id)
            self.core.fail(batch_id, NOT_PROCESSED, now_ms)

    def _command(self, record: Record, now_ms: int) -> None:
        try:
            asked = batch_command.validate_json(record.value or b"")
        except ValidationError as error:
            self._dead_now += self._dead.take(record, str(error))
            return
        self._dead.good()
        if isinstance(asked, Submitted):
            self.core.submit(asked)
            log.info("batch.submitted", batch_id=asked.batch_id)
        elif isinstance(asked, CancelAsked):
            self.core.cancel(asked, now_ms)
            log.info("batch.cancel_asked", batch_id=asked.batch_id)
        elif isinstance(asked, LinesReturned):
            self.core.take_back(asked)
        else:
            self.core.grant(asked)

    async def _collect(self, record: Record, pieces: Pieces) -> None:
        try:
            group = decode_envelope(record.headers, ResultGroup)
        except (ValidationError, MissingEnvelopeError) as error:
            self._dead_now += self._dead.take(record, str(error))
            return
        self._dead.good()
        lines = (record.value or b"").split(b"\n")
        lost = []
        for number, result in enumerate(group.results):
            if result.body_ref is not None:
                line = await self._fetch(result, result.body_ref)
                lines[number] = line or _lost_line(result)
                lost += [] if line else [number]
        collected = self.core.collect(_failed(group, lost) if lost else group, lines)
        metrics.LINES_DONE.labels("completed").inc(len(collected.output))
        metrics.LINES_DONE.labels("failed").inc(len(collected.error))
        for kind, new in (("output", collected.output), ("error", collected.error)):
            if new:
                pieces.setdefault((group.batch_id or "", kind), []).extend(new)

    async def _fetch(self, result: Result, reference: BodyRef) -> bytes | None:
        """Return the output line of `result`; None if its object is missing."""
        get = partial(self._objects.get_range, reference.path, reference.start, reference.length)
        try:
            return await self._until_stored(get)
        except NoSuchObjectError:
            log.exception("result.lost", request_id=result.request_id, path=reference.path)
            return None

    async def _until_stored(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask the object store until it answers; no step is committed meanwhile."""

        def refused(error: StoreError, _: int) -> float:
            log.warning("batch.work_delayed", partition=self._partition, reason=str(error))
            return self._retry_s

        return await until_stored(ask, self._health, refused)

    async def _write(self, pieces: Pieces, name: str) -> None:
        """Write one part for each batch and kind, concurrently, before the commit that lists them."""
        parts = {}
        async with asyncio.TaskGroup() as group:
            for (batch_id, kind), lines in pieces.items():
                data = b"\n".join((*lines, b""))
                path = f"batches/{batch_id}/{kind}/{name}"
                group.create_task(self._until_stored(partial(self._objects.put, path, data)))
                parts[batch_id, kind] = Part(path=path, bytes=len(data), lines=len(lines))
        for (batch_id, kind), part in parts.items():
            self.core.add_part(batch_id, kind, part)

    async def set_aside(self, record: Record, error: Exception) -> list[Outgoing]:
        """Return the dead letter of `record`. A replay continues with its results, or its returned lines."""
        return self._dead.set_aside(record, error)

    def committed(self) -> None:
        self._failing -= {name for name in self._failing if not self.core.is_open(name)}
        effects, self._effects = self._effects, []
        for effect in effects:
            task = asyncio.ensure_future(self._carry_out(effect))  # noqa: TID251  # ended by close()
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Remember a failure: the next step raises it, which ends the process."""
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = task.exception()
            self.wake.set()

    async def _carry_out(self, effect: Effect) -> None:
        while True:
            try:
                fact = await self._work(effect)
            except StoreError as error:
                log.warning("batch.work_delayed", batch_id=effect.batch_id, reason=str(error))
                await asyncio.sleep(self._retry_s)
                continue
            except Exception as error:  # a guard: no input ends a stage
                if not is_poison(error):
                    raise
                log.exception("batch.work_failed", batch_id=effect.batch_id)
                fact = Rejected(effect.batch_id, (NOT_PROCESSED,))
            # why after the await: a step meanwhile replaces the list
            self._facts.append(fact)
            self.wake.set()
            return

    def _work(self, effect: Effect) -> Coroutine[Any, Any, Fact]:
        batch = self.core.states[effect.batch_id].head
        if isinstance(effect, Validate):
            rules = LineRules(
                batch.operation, self._catalogue.models, self._settings.max_line_bytes
            )
            limits = InputLimits(self._settings.max_lines, self._settings.max_file_bytes)
            price = partial(self._price, batch)
            return validate(self._objects, batch, rules, limits, price, threads=self._threads)
        return read_lines(self._objects, locations_of(batch), effect)

    def _price(self, batch: Batch, sums: Mapping[str, AskTotals]) -> Estimate:
        serving = {model: self._catalogue.serving(model, batch.operation) for model in sums}
        return estimate(sums, serving, self.core.output_lengths.of(batch.account))

    @property
    def busy(self) -> int:
        """How many effects are being carried out."""
        return len(self._running)

    async def close(self) -> None:
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)


def _lost_line(result: Result) -> bytes:
    return failed(result.request_id, result.custom_id, 500, "answer_lost", LOST).line


def _failed(group: ResultGroup, places: Sequence[int]) -> ResultGroup:
    """Return `group` with the results at `places` as failures."""
    results = list(group.results)
    for place in places:
        results[place] = results[place].model_copy(update={"outcome": Outcome.FAILED})
    return group.model_copy(update={"results": tuple(results)})
