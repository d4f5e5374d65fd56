"""crossdock batches: submit, watch, results, cancel, list."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from crossdock.cli.shared.client import open_client, save
from crossdock.cli.shared.installation import DataDirOption, reached
from crossdock.cli.usage import estimate
from crossdock.cli.usage.watching import status_of, watch_batch
from crossdock.kernel.process.errors import ProcessError

app = typer.Typer(
    help="Submit files of requests, watch them, fetch the results.", no_args_is_help=True
)
app.command("estimate")(estimate.estimate_file)
TABLE_WIDTH = 122
BatchId = Annotated[str, typer.Argument(help="batch_...")]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]


def _client(path: Path | None) -> Any:
    return open_client(reached(path))


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
    client = _client(data_dir_)
    pairs = dict(item.partition("=")[::2] for item in metadata or ())
    uploaded = client.upload(file)
    batch = client.create_batch(uploaded["id"], endpoint or _endpoint_of(file), window, pairs)
    sys.stdout.write(f"{batch['id']}\n")
    sys.stdout.flush()
    if watching:
        watch_batch(client, batch["id"])


def _endpoint_of(file: Path) -> str:
    with file.open("rb") as lines:
        try:
            return str(json.loads(lines.readline())["url"])
        except (ValueError, KeyError, TypeError):
            raise ProcessError(f"{file}: its first line names no url; give --endpoint") from None


@app.command()
def watch(batch_id: BatchId, data_dir_: DataDirOption = None) -> None:
    """Show a batch's progress until it ends. Ctrl-C stops the watching, not the batch."""
    watch_batch(_client(data_dir_), batch_id)


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
    client = _client(data_dir_)
    file_id = client.batch(batch_id)["error_file_id" if errors else "output_file_id"]
    if file_id is None:
        sys.stderr.write(f"no {'failed line' if errors else 'answer'} yet\n")
        return
    if output is not None:
        save(client, file_id, output)
        return
    with client.content(file_id) as chunks:
        sys.stdout.buffer.writelines(chunks)


@app.command()
def cancel(batch_id: BatchId, data_dir_: DataDirOption = None) -> None:
    """Cancel a batch; finished lines stay readable."""
    sys.stdout.write(_client(data_dir_).cancel(batch_id)["status"] + "\n")


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """List batches, newest first."""
    found = _client(data_dir_).batches(limit)
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
