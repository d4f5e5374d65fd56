"""A batch's progress on the terminal, and why its lines wait."""

import time
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
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("validating", total=None, failed=0, rate=0.0, cost="0")
        started = time.monotonic()
        told = None
        is_estimated = False
        while True:
            batch = client.batch(batch_id)
            is_estimated = is_estimated or _tell_estimate(console, batch)
            _show(progress, task, batch, time.monotonic() - started)
            told = _tell_waiting(console, batch, told)
            if batch["status"] in FINAL:
                break
            time.sleep(POLL_S)
    _conclude(console, batch)
    final: dict[str, Any] = batch
    return final


def _tell_estimate(console: Console, batch: dict[str, Any]) -> bool:
    """Tell what a batch may cost, if that is known; say whether it is."""
    found = batch["crossdock"].get("estimate")
    if found is None:
        return False
    likely, worst = (float(found[name]) for name in ("likely_usd", "worst_usd"))
    console.print(f"likely ${likely:.6f}, at most ${worst:.6f}", highlight=False)
    return True


def _tell_waiting(console: Console, batch: dict[str, Any], told: str | None) -> str | None:
    """Tell why lines wait unless that was `told` last, and return it; None: none wait."""
    waiting = _waiting(batch)
    message = None if waiting is None else str(waiting["message"])
    if message is not None and message != told:
        console.print(Text(f"waiting: {message}"), highlight=False)
    return message


def _waiting(batch: dict[str, Any]) -> dict[str, Any] | None:
    # why: an installation of before there were budgets does not say it
    waiting: dict[str, Any] | None = batch["crossdock"].get("waiting")
    return waiting


def status_of(batch: dict[str, Any]) -> str:
    """Return a batch's status, and whether it waits."""
    return f"{batch['status']} (waiting)" if _waiting(batch) else str(batch["status"])


def _description(batch: dict[str, Any]) -> str:
    waiting = _waiting(batch)
    return f"{batch['status']}, waiting: {waiting['code']}" if waiting else str(batch["status"])


def _show(progress: Progress, task: TaskID, batch: dict[str, Any], elapsed_s: float) -> None:
    counts = batch["request_counts"]
    done = counts["completed"] + counts["failed"]
    progress.update(
        task,
        description=_description(batch),
        total=counts["total"] or None,
        completed=done,
        failed=counts["failed"],
        rate=done / elapsed_s if elapsed_s else 0.0,
        cost=batch["crossdock"]["cost_usd"],
    )


def _conclude(console: Console, batch: dict[str, Any]) -> None:
    for error in (batch["errors"] or {}).get("data", [])[:20]:
        place = f"line {error['line']}: " if error["line"] else ""
        console.print(f"  {place}{error['code']}: {error['message']}", highlight=False)
    if batch["status"] == "failed":
        raise ProcessError(f"{batch['id']} failed validation; nothing ran, nothing was billed")
    counts = batch["request_counts"]
    console.print(
        f"{batch['id']} {batch['status']}: {counts['completed']} completed, {counts['failed']} failed; "
        f"`crossdock batches results {batch['id']}` prints the answers",
        highlight=False,
    )
