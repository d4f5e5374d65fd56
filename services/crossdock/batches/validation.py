"""Reads an input once, in flat memory: checks every line, writes the line index, reports what is wrong."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

from crossdock.batches.check import Rules, Sound, check_line
from crossdock.batches.duplicates import SeenIds
from crossdock.batches.facts import Rejected, Validated
from crossdock.batches.index import Span, index_path, pack
from crossdock.kernel.objects import Objects
from crossdock_schemas.batch import Batch, LineError
from crossdock_schemas.estimate import Estimate, Sums

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
    price: Callable[[Mapping[str, Sums]], Estimate] | None = None,
) -> Validated | Rejected:
    """Check the input of `batch`; a sound one leaves an index per model in the object store.

    `price` says what lines by model may cost.

    Raises:
        StoreError: if the store refused (not when the input is missing: that is a `Rejected`).
    """
    fault = await _check_file(objects, batch, limits)
    if fault is not None or batch.input_path is None:
        return Rejected(batch.batch_id, (fault,) if fault else ())
    survey = Survey(rules, limits)
    async for spans in _spans(objects.stream(batch.input_path), rules.max_line_bytes):
        survey.take(spans)
        if survey.is_hopeless:
            break
        await asyncio.sleep(0)  # the shard's other work goes on between two chunks
    errors = survey.errors + await _repeats(objects, batch.input_path, survey)
    if not errors and not survey.count:
        errors = [LineError(code="empty_file", message="The input file is empty.")]
    if errors:
        return Rejected(
            batch.batch_id, tuple(sorted(errors, key=lambda e: e.line or 0)[:MAX_ERRORS])
        )
    for number, index in enumerate(survey.indexes.values()):
        await objects.put(index_path(batch.batch_id, number), bytes(index))
    estimate = None if price is None else price(survey.sums)
    return Validated(batch.batch_id, survey.models(), estimate)


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
    count: int = 0
    errors: list[LineError] = field(default_factory=list)
    indexes: dict[str, bytearray] = field(default_factory=dict)
    sums: dict[str, Sums] = field(default_factory=dict)
    seen: SeenIds = field(default_factory=SeenIds)

    def take(self, lines: list[tuple[Span, bytes]]) -> None:
        for span, raw in lines:
            self.count += 1
            checked = check_line(raw, span.line + 1, self.rules)
            if isinstance(checked, Sound):
                entry = pack(span._replace(ask=checked.ask))
                self.indexes.setdefault(checked.model, bytearray()).extend(entry)
                self.sums.setdefault(checked.model, Sums()).add(checked.ask, span.length)
                self.seen.add(checked.custom_id, span.line)
            else:
                self.errors.append(checked)
        if self.count > self.limits.max_lines:
            self.errors = [
                LineError(
                    code="too_many_tasks",
                    message=f"The input file has more than {self.limits.max_lines} lines, which is the limit.",
                )
            ]

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
                checked = check_line(raw, span.line + 1, survey.rules)
                found[span.line] = checked.custom_id if isinstance(checked, Sound) else ""
        if len(found) == len(wanted):
            break
        await asyncio.sleep(0)
    return found
