"""Reads an input once, in constant memory: checks every line, writes the line index, reports errors."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import structlog
from pydantic_core import from_json

from crossdock.batches.core.background_results import Rejected, Validated
from crossdock.batches.core.custom_ids import SeenIds
from crossdock.batches.core.line_check import LineRules, check_line, shown
from crossdock.batches.core.line_index import Span, index_path, pack
from crossdock.batches.core.line_locations import prepared_path
from crossdock.batches.core.line_preparation import LinePreparation
from crossdock.kernel.drivers.object_store import Objects, Writer
from crossdock.kernel.process import metrics
from crossdock.kernel.runtime.fair_threads import FairThreads
from crossdock_schemas.accounts.preset import Preparation
from crossdock_schemas.batches.batch import Batch, LineError
from crossdock_schemas.pricing.estimate import AskTotals, Estimate

log: structlog.stdlib.BoundLogger = structlog.get_logger()

SLICE_S = 0.25  # of one batch in a thread
MAX_ERRORS = 1000  # reported; validation stops there
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class InputLimits:
    """Limits of one input file."""

    max_lines: int
    max_file_bytes: int


async def validate(
    objects: Objects,
    batch: Batch,
    rules: LineRules,
    limits: InputLimits,
    price: Callable[[Mapping[str, AskTotals]], Estimate] | None = None,
    *,
    threads: FairThreads | None = None,
) -> Validated | Rejected:
    """Check the input of `batch`; a valid one leaves an index per model in the object store.

    `price` estimates the cost of the lines of each model; content filters run in `threads`.

    Raises:
        StoreError: if the store refused (not when the input is missing: that is a `Rejected`).
    """
    fault = await _check_file(objects, batch, limits)
    if fault is not None or batch.input_path is None:
        return Rejected(batch.batch_id, (fault,) if fault else ())
    survey = InputSurvey(rules, limits, await _preparing(objects, batch))
    async with _writing(objects, batch, survey) as write:
        async for spans in _spans(objects.stream(batch.input_path), rules.max_line_bytes):
            if threads is not None and survey.has_guard:
                await survey.take_in_threads(spans, threads, batch.account)
            else:
                survey.take(spans)
            await write()
            if survey.is_over:
                break
            await asyncio.sleep(0)  # the shard's other work continues between two chunks
    _report_findings(batch, survey)
    errors = survey.errors + await _repeats(objects, batch.input_path, survey)
    if not errors and not survey.count:
        errors = [LineError(code="empty_file", message="The input file is empty.")]
    if errors:
        await objects.delete(prepared_path(batch.batch_id))
        return Rejected(
            batch.batch_id, tuple(sorted(errors, key=lambda e: e.line or 0)[:MAX_ERRORS])
        )
    for number, index in enumerate(survey.indexes.values()):
        await objects.put(index_path(batch.batch_id, number), bytes(index))
    estimate = None if price is None else price(survey.sums)
    prepared = survey.preparing.path if survey.preparing is not None else None
    return Validated(batch.batch_id, survey.models(), estimate, prepared)


def _report_findings(batch: Batch, survey: "InputSurvey") -> None:
    """Log and count the findings of the content filter."""
    if survey.preparing is not None and survey.preparing.findings:
        findings = dict(survey.preparing.findings)
        metrics.count_findings(findings)
        log.info("batch.guarded", batch_id=batch.batch_id, findings=findings)


async def _preparing(objects: Objects, batch: Batch) -> LinePreparation | None:
    """Return the preparation of the lines, as it was when the batch was created."""
    if batch.preparation_path is None:
        return None
    preparation = Preparation.from_json(await objects.get(batch.preparation_path))
    return LinePreparation(
        preparation, batch.operation, batch.input_bytes, prepared_path(batch.batch_id)
    )


@asynccontextmanager
async def _writing(
    objects: Objects, batch: Batch, survey: "InputSurvey"
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Yield a function that writes the lines prepared since its last call; without any, no object is made."""
    preparing = survey.preparing
    if preparing is None:
        yield _nothing
        return
    async with AsyncExitStack() as stack:
        writer: Writer | None = None

        async def write() -> None:
            nonlocal writer
            lines = preparing.take()
            if lines and writer is None:
                writer = await stack.enter_async_context(
                    objects.writer(prepared_path(batch.batch_id))
                )
            if lines and writer is not None:
                await writer.write(lines)

        yield write


async def _nothing() -> None:
    """Do nothing: lines are not prepared."""


async def _check_file(objects: Objects, batch: Batch, limits: InputLimits) -> LineError | None:
    size = None if batch.input_path is None else await objects.head(batch.input_path)
    if size is None:
        return LineError(
            code="invalid_request",
            message=f"No such file: {batch.input_file_id}. Upload it with purpose 'batch' first.",
            param="file_id",
        )
    if size > limits.max_file_bytes:
        return LineError(
            code="file_too_large",
            message=f"The input file has {size} bytes; the limit is {limits.max_file_bytes}.",
        )
    return None


@dataclass
class InputSurvey:
    """All that is known of the lines so far."""

    rules: LineRules
    limits: InputLimits
    preparing: LinePreparation | None = None
    count: int = 0
    errors: list[LineError] = field(default_factory=list)
    indexes: dict[str, bytearray] = field(default_factory=dict)
    sums: dict[str, AskTotals] = field(default_factory=dict)
    seen: SeenIds = field(default_factory=SeenIds)

    def take(self, lines: list[tuple[Span, bytes]]) -> None:
        for span, raw in lines:
            self.count += 1
            self._take(span, raw)
        if self.count > self.limits.max_lines:
            self.errors = [
                LineError(
                    code="too_many_tasks",
                    message=f"The input file has more than {self.limits.max_lines} lines, which is the limit.",
                )
            ]

    async def take_in_threads(
        self, lines: list[tuple[Span, bytes]], threads: FairThreads, owner: str
    ) -> None:
        """Take lines in slices of time: content filters may be slow, and others use the threads too."""
        at = 0
        while at < len(lines) and not self.is_over:
            at += await threads.run(owner, partial(self._take_for_a_while, lines, at))

    def _take_for_a_while(self, lines: list[tuple[Span, bytes]], at: int) -> int:
        """Take lines from the one at `at` on, and return how many."""
        end_s = time.monotonic() + SLICE_S
        for count, line in enumerate(lines[at:], 1):
            self.take([line])
            if time.monotonic() > end_s or self.is_over:
                return count
        return len(lines) - at

    @property
    def has_guard(self) -> bool:
        return self.preparing is not None and self.preparing.has_guard

    def _take(self, span: Span, raw: bytes) -> None:
        if self.preparing is not None and len(raw) <= self.rules.max_line_bytes:
            prepared = self.preparing.prepare(span, raw)
            if isinstance(prepared, LineError):
                self.errors.append(prepared)
                return
            span, raw = prepared
        checked = check_line(raw, span.line + 1, self.rules)
        if isinstance(checked, LineError):
            self.errors.append(checked)
            return
        checked_span = span._replace(
            ask=checked.ask,
            is_for_user=checked.is_for_user,
            is_demanding=checked.is_demanding,
            is_special=checked.is_special,
        )
        entry = pack(checked_span)
        self.indexes.setdefault(checked.model, bytearray()).extend(entry)
        self.sums.setdefault(checked.model, AskTotals()).add(checked.ask, span.length)
        self.seen.add(checked.custom_id, span.line)

    @property
    def is_over(self) -> bool:
        return len(self.errors) >= MAX_ERRORS or self.count > self.limits.max_lines

    def models(self) -> tuple[tuple[str, int], ...]:
        size = len(pack(Span(0, 0, 0)))
        return tuple((model, len(index) // size) for model, index in self.indexes.items())


async def _spans(
    chunks: AsyncIterator[bytes], max_line_bytes: int
) -> AsyncIterator[list[tuple[Span, bytes]]]:
    """Yield the lines of each chunk with their positions; blank lines are skipped, but counted."""
    rest, offset, line = b"", 0, 0
    async for chunk in chunks:
        data = rest + chunk if rest else chunk
        *whole, rest = data.split(b"\n")
        found, offset, line = _place(whole, offset, line)
        if found:
            yield found
        if len(rest) > max_line_bytes:
            yield [(Span(line, offset, len(rest)), rest)]
            return
    found, _, _ = _place([rest], offset, line)
    if found:
        yield found


def _place(lines: list[bytes], offset: int, line: int) -> tuple[list[tuple[Span, bytes]], int, int]:
    found = []
    for raw in lines:
        start = offset
        text = raw[:-1] if raw.endswith(b"\r") else raw
        if start == 0 and text.startswith(BOM):
            text, start = text[3:], 3
        if text.strip():
            found.append((Span(line, start, len(text)), text))
        offset += len(raw) + 1
        line += 1
    return found, offset, line


async def _repeats(objects: Objects, path: str, survey: InputSurvey) -> list[LineError]:
    """Return an error for each line that repeats an earlier custom_id; ids of equal hashes are compared."""
    suspects = list(survey.seen.suspects())[:MAX_ERRORS]
    if not suspects:
        return []
    wanted = {line for pair in suspects for line in pair}
    ids = await _custom_ids(objects, path, wanted, survey)
    return [
        LineError(
            code="duplicate_custom_id",
            message=f"The custom_id {shown(ids[later])} of this line was already used on line {first + 1}.",
            line=later + 1,
            param="custom_id",
        )
        for first, later in suspects
        if ids[first] == ids[later]
    ]


async def _custom_ids(
    objects: Objects, path: str, wanted: set[int], survey: InputSurvey
) -> dict[int, str]:
    found: dict[int, str] = {}
    async for spans in _spans(objects.stream(path), survey.rules.max_line_bytes):
        for span, raw in spans:
            if span.line in wanted:
                found[span.line] = from_json(raw)["custom_id"]  # it was valid
        if len(found) == len(wanted):
            break
        await asyncio.sleep(0)
    return found
