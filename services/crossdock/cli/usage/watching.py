"""A batch's progress on the terminal, and why its lines wait."""

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from crossdock.kernel.process.errors import ProcessError

FINAL = frozenset({"completed", "failed", "expired", "cancelled"})
LINES_FAILED = 3
"""Exit code for a batch that ended without an answer to each of its lines."""
POLL_S = 0.25


def watch_batch(client: Any, batch_id: str) -> dict[str, Any]:
    """Show progress until the batch ends, and return it."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]} failed"),
        TextColumn("{task.fields[rate]:.0f}/s"),
        TextColumn("${task.fields[cost]}"),
        TimeRemainingColumn(),
    )
    batch = client.batch(batch_id)
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("validating", total=None, failed=0, rate=0.0, cost="0")
        started, before = time.monotonic(), _done(batch)
        shown = None
        is_estimated = False
        while True:
            is_estimated = is_estimated or _show_estimate(console, batch)
            rate = (_done(batch) - before) / max(time.monotonic() - started, 0.001)
            _show(progress, task, batch, rate)
            shown = _show_waiting(console, batch, shown)
            if batch["status"] in FINAL:
                break
            time.sleep(POLL_S)
            batch = client.batch(batch_id)
    _conclude(console, batch)
    final: dict[str, Any] = batch
    return final


def is_whole(batch: Mapping[str, Any]) -> bool:
    """Return whether all lines of a batch that ended have completed."""
    counts = batch["request_counts"]
    return bool(batch["status"] == "completed" and counts["completed"] == counts["total"])


def _show_estimate(console: Console, batch: dict[str, Any]) -> bool:
    """Print the batch's estimate, and return whether it has one."""
    found = batch["crossdock"].get("estimate")
    if found is None:
        return False
    expected, worst = (float(found[name]) for name in ("likely_usd", "worst_usd"))
    console.print(f"expected cost ${expected:.6f}, worst case ${worst:.6f}", highlight=False)
    return True


def _show_waiting(console: Console, batch: dict[str, Any], shown: str | None) -> str | None:
    """Print the wait reason, unless `shown` is the same, and return it; None if no line waits."""
    waiting = _waiting(batch)
    message = None if waiting is None else str(waiting["message"])
    if message is not None and message != shown:
        console.print(Text(f"waiting: {message}"), highlight=False)
    return message


def _waiting(batch: dict[str, Any]) -> dict[str, Any] | None:
    # why: installations older than budgets do not report it
    waiting: dict[str, Any] | None = batch["crossdock"].get("waiting")
    return waiting


def status_of(batch: dict[str, Any]) -> str:
    """Return a batch's status, marked if lines wait."""
    return f"{batch['status']} (waiting)" if _waiting(batch) else str(batch["status"])


def _description(batch: dict[str, Any]) -> str:
    waiting = _waiting(batch)
    return f"{batch['status']}, waiting: {waiting['code']}" if waiting else str(batch["status"])


def _done(batch: dict[str, Any]) -> int:
    counts = batch["request_counts"]
    return int(counts["completed"]) + int(counts["failed"])


def _show(progress: Progress, task: TaskID, batch: dict[str, Any], rate: float) -> None:
    counts = batch["request_counts"]
    progress.update(
        task,
        description=_description(batch),
        total=counts["total"] or None,
        completed=_done(batch),
        failed=counts["failed"],
        rate=rate,
        cost=batch["crossdock"]["cost_usd"],
    )


def _conclude(console: Console, batch: dict[str, Any]) -> None:
    for error in (batch["errors"] or {}).get("data", [])[:20]:
        place = f"line {error['line']}: " if error["line"] else ""
        console.print(f"  {place}{error['code']}: {error['message']}", highlight=False)
    if batch["status"] == "failed":
        raise ProcessError(f"{batch['id']} failed validation: no line ran, nothing was billed")
    counts = batch["request_counts"]
    console.print(
        f"{batch['id']} {batch['status']}: {counts['completed']} completed, {counts['failed']} failed; "
        f"see `crossdock batches results {batch['id']}`",
        highlight=False,
        soft_wrap=True,
    )
