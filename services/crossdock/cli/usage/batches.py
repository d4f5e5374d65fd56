"""crossdock batches: submit, watch, results, cancel, list."""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from crossdock.cli.shared.installation import DataDirOption, reached
from crossdock.cli.usage import estimate
from crossdock.kernel.process.errors import ProcessError

app = typer.Typer(help="Batches: a JSONL file in, answers out.", no_args_is_help=True)
app.command("estimate")(estimate.estimate_file)
FINAL = frozenset({"completed", "failed", "expired", "cancelled"})
POLL_S = 0.25
TABLE_WIDTH = 122
BatchId = Annotated[str, typer.Argument(help="batch_...")]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]


def _dock(path: Path | None) -> Any:
    from crossdock.cli.shared.client import open_dock

    return open_dock(reached(path))


@app.command()
def submit(
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="JSONL in OpenAI's batch input form."),
    ],
    endpoint: Annotated[
        str | None,
        typer.Option(help="Such as /v1/chat/completions; the first line's url if not given."),
    ] = None,
    window: Annotated[str, typer.Option(help="24h, or 1m to 7d.")] = "24h",
    metadata: Annotated[
        list[str] | None, typer.Option("--metadata", "-m", help="KEY=VALUE, may be repeated.")
    ] = None,
    watching: Annotated[
        bool, typer.Option("--watch/--no-watch", help="Show progress until it ends.")
    ] = True,
    data_dir_: DataDirOption = None,
) -> None:
    """Upload FILE and run it as a batch."""
    dock = _dock(data_dir_)
    pairs = dict(item.partition("=")[::2] for item in metadata or ())
    uploaded = dock.upload(file)
    batch = dock.create_batch(uploaded["id"], endpoint or _endpoint_of(file), window, pairs)
    sys.stdout.write(f"{batch['id']}\n")
    sys.stdout.flush()
    if watching:
        watch_batch(dock, batch["id"])


def _endpoint_of(file: Path) -> str:
    with file.open("rb") as lines:
        try:
            return str(json.loads(lines.readline())["url"])
        except (ValueError, KeyError, TypeError):
            raise ProcessError(f"{file}: its first line names no url; give --endpoint") from None


@app.command()
def watch(batch_id: BatchId, data_dir_: DataDirOption = None) -> None:
    """Show a batch's progress until it ends. Ctrl-C stops the watching, not the batch."""
    watch_batch(_dock(data_dir_), batch_id)


def watch_batch(dock: Any, batch_id: str) -> dict[str, Any]:
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
            batch = dock.batch(batch_id)
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


@app.command()
def results(
    batch_id: BatchId,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; stdout if not given.")
    ] = None,
    errors: Annotated[
        bool, typer.Option("--errors", help="The lines that failed instead.")
    ] = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Write a batch's answers, also while it runs."""
    dock = _dock(data_dir_)
    file_id = dock.batch(batch_id)["error_file_id" if errors else "output_file_id"]
    if file_id is None:
        sys.stderr.write(f"no {'failed line' if errors else 'answer'} yet\n")
        return
    with dock.content(file_id) as chunks:
        if output is None:
            for chunk in chunks:
                sys.stdout.buffer.write(chunk)
        else:
            partial = output.with_name(f"{output.name}.partial")
            with partial.open("wb") as out:
                for chunk in chunks:
                    out.write(chunk)
            partial.replace(output)


@app.command()
def cancel(batch_id: BatchId, data_dir_: DataDirOption = None) -> None:
    """Cancel a batch; finished lines stay readable."""
    sys.stdout.write(_dock(data_dir_).cancel(batch_id)["status"] + "\n")


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """List batches, newest first."""
    found = _dock(data_dir_).batches(limit)
    if as_json:
        sys.stdout.write(json.dumps(found, indent=1) + "\n")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("batch", "status", "created", "total", "completed", "failed", "USD"):
        table.add_column(column, no_wrap=True)
    for batch in found:
        counts = batch["request_counts"]
        created = datetime.fromtimestamp(batch["created_at"], UTC).strftime("%Y-%m-%d %H:%M:%S")
        numbers = [str(counts[name]) for name in ("total", "completed", "failed")]
        table.add_row(
            batch["id"], status_of(batch), created, *numbers, batch["crossdock"]["cost_usd"]
        )
    # why: a narrow terminal may break the lines, but an id that is cut is of no use
    Console(width=max(Console().width, TABLE_WIDTH)).print(table)
