"""Reads an input once, in flat memory: checks every line, writes the line index, reports what is wrong."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import structlog
from pydantic_core import from_json

from crossdock.batches.core.background_results import Rejected, Validated
from crossdock.batches.core.custom_ids import SeenIds
from crossdock.batches.core.line_check import Rules, check_line
from crossdock.batches.core.line_index import Span, index_path, pack
from crossdock.batches.core.line_locations import prepared_path
from crossdock.batches.core.line_preparation import Preparing
from crossdock.kernel.drivers.object_store import Objects, Writer
from crossdock.kernel.process import metrics
from crossdock_schemas.accounts.preset import Preparation
from crossdock_schemas.batches.batch import Batch, LineError
from crossdock_schemas.pricing.estimate import AskTotals, Estimate

log: structlog.stdlib.BoundLogger = structlog.get_logger()

MAX_ERRORS = 1000  # reported; counting goes no further either
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Limits:
    """Of one input file."""

    max_lines: int
    max_file_bytes: int


async def validate(
    objects: Objects,
    batch: Batch,
    rules: Rules,
    limits: Limits,
    price: Callable[[Mapping[str, AskTotals]], Estimate] | None = None,
) -> Validated | Rejected:
    """Check the input of `batch`; a sound one leaves an index per model in the object store.

    `price` says what lines by model may cost.

    Raises:
        StoreError: if the store refused (not when the input is missing: that is a `Rejected`).
    """
    fault = await _check_file(objects, batch, limits)
    if fault is not None or batch.input_path is None:
        return Rejected(batch.batch_id, (fault,) if fault else ())
    survey = Survey(rules, limits, await _preparing(objects, batch))
    async with _writing(objects, batch, survey) as write:
        async for spans in _spans(objects.stream(batch.input_path), rules.max_line_bytes):
            await survey.take_apart(spans)
            await write()
            if survey.is_hopeless:
                break
            await asyncio.sleep(0)  # the shard's other work goes on between two chunks
    _tell(batch, survey)
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


def _tell(batch: Batch, survey: "Survey") -> None:
    """Tell what the guard found, in numbers."""
    if survey.preparing is not None and survey.preparing.findings:
        findings = dict(survey.preparing.findings)
        metrics.count_findings(findings)
        log.info("batch.guarded", batch_id=batch.batch_id, findings=findings)


async def _preparing(objects: Objects, batch: Batch) -> Preparing | None:
    """Return what the lines go through, as it was when the batch was created."""
    if batch.preparation_path is None:
        return None
    preparation = Preparation.from_json(await objects.get(batch.preparation_path))
    return Preparing(preparation, batch.operation, batch.input_bytes, prepared_path(batch.batch_id))


@asynccontextmanager
async def _writing(
    objects: Objects, batch: Batch, survey: "Survey"
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Give what writes the lines that were prepared since it was called last; without any there is no object."""
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
    """There is nothing to write."""


async def _check_file(objects: Objects, batch: Batch, limits: Limits) -> LineError | None:
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
class Survey:
    """What is known of the lines so far."""

    rules: Rules
    limits: Limits
    preparing: Preparing | None = None
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

    async def take_apart(self, lines: list[tuple[Span, bytes]]) -> None:
        """Do so; where sensitive data is looked for, beside the loop: RE2 works outside of Python's lock."""
        if self.preparing is not None and self.preparing.has_guard:
            await asyncio.to_thread(self.take, lines)
        else:
            self.take(lines)

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
            ask=checked.ask, is_for_user=checked.is_for_user, is_demanding=checked.is_demanding
        )
        entry = pack(checked_span)
        self.indexes.setdefault(checked.model, bytearray()).extend(entry)
        self.sums.setdefault(checked.model, AskTotals()).add(checked.ask, span.length)
        self.seen.add(checked.custom_id, span.line)

    @property
    def is_hopeless(self) -> bool:
        return len(self.errors) >= MAX_ERRORS or self.count > self.limits.max_lines

    def models(self) -> tuple[tuple[str, int], ...]:
        size = len(pack(Span(0, 0, 0)))
        return tuple((model, len(index) // size) for model, index in self.indexes.items())


async def _spans(
    chunks: AsyncIterator[bytes], max_line_bytes: int
) -> AsyncIterator[list[tuple[Span, bytes]]]:
    """Yield the lines of each chunk with their places; blank lines are passed over, but counted."""
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


async def _repeats(objects: Objects, path: str, survey: Survey) -> list[LineError]:
    """Return an error for each line whose custom_id an earlier line has; equal hashes are compared as text."""
    suspects = list(survey.seen.suspects())[:MAX_ERRORS]
    if not suspects:
        return []
    wanted = {line for pair in suspects for line in pair}
    ids = await _custom_ids(objects, path, wanted, survey)
    return [
        LineError(
            code="duplicate_custom_id",
            message=f"The custom_id {ids[later]!r} of this line was already used on line {first + 1}.",
            line=later + 1,
            param="custom_id",
        )
        for first, later in suspects
        if ids[first] == ids[later]
    ]


async def _custom_ids(
    objects: Objects, path: str, wanted: set[int], survey: Survey
) -> dict[int, str]:
    found: dict[int, str] = {}
    async for spans in _spans(objects.stream(path), survey.rules.max_line_bytes):
        for span, raw in spans:
            if span.line in wanted:
                found[span.line] = from_json(raw)["custom_id"]  # it was sound
        if len(found) == len(wanted):
            break
        await asyncio.sleep(0)
    return found
