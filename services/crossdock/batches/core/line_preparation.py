"""Prepares the lines of an input, and returns where each is stored. Pure."""

import json
from collections import Counter

from pydantic_core import from_json

from crossdock.batches.core.line_index import Span
from crossdock.kernel.requests.json_values import has_too_many_values
from crossdock.kernel.requests.preparation import PreparationFault, prepare
from crossdock_schemas.accounts.preset import Preparation
from crossdock_schemas.batches.batch import LineError


class LinePreparation:
    """From the first changed line on, all lines are copied, one after the other."""

    def __init__(
        self, preparation: Preparation, operation: str, input_bytes: int, path: str
    ) -> None:
        self._preparation = preparation
        self._operation = operation
        self._input_bytes = input_bytes
        self._path = path
        self._size = 0
        self._lines: list[bytes] = []
        self.findings: Counter[str] = Counter()
        """How often each detector of the content filter found something."""

    @property
    def has_guard(self) -> bool:
        return bool(self._preparation.guard.detectors)

    @property
    def path(self) -> str | None:
        """The object of the copied lines; None: no line was copied."""
        return self._path if self._size else None

    def prepare(self, span: Span, raw: bytes) -> tuple[Span, bytes] | LineError:
        """Return the line as it is checked and fed, and where it is stored."""
        line = prepare_line(raw, span.line + 1, self._operation, self._preparation, self.findings)
        if isinstance(line, LineError):
            return line
        if line is raw and not self._size:
            return span, raw
        place = span._replace(offset=self._input_bytes + self._size, length=len(line))
        self._lines.append(line)
        self._size += len(line) + 1
        return place, line

    def take(self) -> bytes:
        """Return the lines that were copied since the last call."""
        lines, self._lines = self._lines, []
        return b"".join(line + b"\n" for line in lines)


def prepare_line(
    raw: bytes,
    number: int,
    operation: str,
    preparation: Preparation | None,
    findings: Counter[str] | None = None,
) -> bytes | LineError:
    """Return line `number` (from 1) as it is checked: `raw` itself if nothing changes.

    Findings of the content filter are added to `findings`. An invalid line is returned as it is: the check reports it.
    """
    if has_too_many_values(raw):
        return raw
    try:
        line = from_json(raw, allow_inf_nan=False)
    except ValueError:
        return raw
    body = line.get("body") if isinstance(line, dict) else None
    if not isinstance(body, dict):
        return raw
    prepared = prepare(body, operation, preparation)
    if findings is not None:
        findings.update(prepared.findings)
    if isinstance(prepared, PreparationFault):
        param = f"body.{prepared.param}"
        return LineError(code=prepared.code, message=prepared.message, line=number, param=param)
    if not prepared.is_changed:
        return raw
    changed = {**line, "body": prepared.body}
    try:
        text = json.dumps(changed, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:  # a number such as 1e999
        message = "This line has a number that is too large for JSON."
        return LineError(code="invalid_json_line", message=message, line=number)
    return text.encode()
