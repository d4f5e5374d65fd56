"""crossdock batches: submit, watch, results, cancel, list."""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from crossdock.cli.shared.client import ApiClient, open_client, save
from crossdock.cli.shared.files import readable
from crossdock.cli.shared.installation import DataDirOption, reached
from crossdock.cli.shared.options import JsonOption
from crossdock.cli.shared.output import show_json, show_rows
from crossdock.cli.usage.estimate import FILE, estimate_file
from crossdock.cli.usage.watching import LINES_FAILED, is_whole, status_of, watch_batch
from crossdock.kernel.process.errors import ProcessError

app = typer.Typer(
    help="Submit files of requests, watch them, fetch the results.", no_args_is_help=True
)
app.command("estimate")(estimate_file)
COLUMNS = ("batch", "status", "created", "total", "completed", "failed", "USD")
BatchId = Annotated[str, typer.Argument(help="Its id, see `list`.", metavar="BATCH")]


def _client(path: Path | None) -> ApiClient:
    return open_client(reached(path))


@app.command()
def submit(
    file: Annotated[Path, FILE],
    endpoint: Annotated[
        str | None,
        typer.Option(help="Such as /v1/embeddings.  \\[default: the url of the first line]"),
    ] = None,
    window: Annotated[str, typer.Option(help="The time to complete it: 1m to 7d.")] = "24h",
    metadata: Annotated[
        list[str] | None, typer.Option("--metadata", "-m", help="KEY=VALUE; may be repeated.")
    ] = None,
    watching: Annotated[
        bool, typer.Option("--watch/--no-watch", help="Show progress until it ends.")
    ] = True,
    data_dir_: DataDirOption = None,
) -> None:
    """Upload FILE and run it as a batch.

    With --watch the exit code is 0 if all lines completed, 3 if lines failed, expired or were cancelled, and 1 if the
    file failed validation.
    """
    client = _client(data_dir_)
    pairs = dict(item.partition("=")[::2] for item in metadata or ())
    with readable(file) as found:
        url = endpoint or _endpoint_of(found, file)
        uploaded = client.upload(found)
    batch = client.create_batch(uploaded["id"], url, window, pairs)
    sys.stdout.write(f"{batch['id']}\n")
    sys.stdout.flush()
    if watching:
        _end_with(watch_batch(client, batch["id"]))


def _end_with(batch: Mapping[str, Any]) -> None:
    if not is_whole(batch):
        raise typer.Exit(LINES_FAILED)


def _endpoint_of(file: Path, given: Path) -> str:
    with file.open("rb") as lines:
        try:
            return str(json.loads(lines.readline())["url"])
        except (ValueError, KeyError, TypeError):
            raise ProcessError(f"{given}: its first line has no url; pass --endpoint") from None


@app.command()
def watch(batch_id: BatchId, data_dir_: DataDirOption = None) -> None:
    """Show a batch's progress until it ends. Ctrl-C does not stop the batch.

    The exit code is 0 if all lines completed, 3 if lines failed, expired or were cancelled, and 1 if the file failed
    validation.
    """
    _end_with(watch_batch(_client(data_dir_), batch_id))


@app.command()
def results(
    batch_id: BatchId,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write.  \\[default: stdout]")
    ] = None,
    errors: Annotated[
        bool, typer.Option("--errors", help="The failed lines instead of the results.")
    ] = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Write a batch's results, also while it runs."""
    client = _client(data_dir_)
    file_id = client.batch(batch_id)["error_file_id" if errors else "output_file_id"]
    if file_id is None:
        sys.stderr.write(f"no {'failed lines' if errors else 'results'} yet\n")
        return
    if output is not None:
        save(client, file_id, output)
        return
    with client.content(file_id) as chunks:
        sys.stdout.buffer.writelines(chunks)


@app.command()
def cancel(batch_id: BatchId, data_dir_: DataDirOption = None) -> None:
    """Cancel a batch. Results of finished lines stay readable."""
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
        show_json(found)
        return
    if not found:
        sys.stderr.write("no batches yet: submit one with `crossdock batches submit FILE`\n")
        return
    show_rows(COLUMNS, [_row(batch) for batch in found], folded="status")


def _row(batch: dict[str, Any]) -> list[object]:
    counts = batch["request_counts"]
    created = f"{datetime.fromtimestamp(batch['created_at'], UTC):%Y-%m-%d %H:%M:%S}"
    numbers = (counts[name] for name in ("total", "completed", "failed"))
    return [batch["id"], status_of(batch), created, *numbers, batch["crossdock"]["cost_usd"]]
