"""crossdock demo: a complete installation, a batch of real text, and the audit at the end."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from pydoc_data import topics
from typing import Annotated, Any
from urllib.request import urlopen

import typer
from rich.console import Console

from crossdock.audit.looks import audited
from crossdock.cli.installation.local import spawn, wait_until_ready
from crossdock.cli.shared.client import open_client, save
from crossdock.cli.shared.doors import Doors, doors_of
from crossdock.cli.shared.installation import addresses, data_dir, environment, without_given
from crossdock.cli.shared.output import print_whole
from crossdock.cli.usage.usage import COLUMNS, usage_table
from crossdock.cli.usage.watching import watch_batch
from crossdock.kernel.process.errors import ProcessError
from crossdock.kernel.process.record import Row
from crossdock.kernel.requests.catalogue import load_catalogue
from crossdock.local.datadir import DataDir

ENDPOINT = "/v1/chat/completions"
MODELS = ("tern-mini", "gull-base", "heron-large")
AUDIT_S = 15.0  # rows and sums arrive about a second after their calls
START_S = 240.0
STARTING = "starting Kafka, ClickHouse, a simulated provider and all stages"


def demo(
    ctx: typer.Context,
    lines: Annotated[int, typer.Option(min=1, help="Prompts in the batch.")] = 1200,
    folder: Annotated[
        Path, typer.Option("--data-dir", help="The folder of the demo's data.")
    ] = Path(".crossdock/demo"),
    stay: Annotated[bool, typer.Option("--stay", help="Keep it running until Ctrl-C.")] = False,
) -> None:
    """Start everything, run a batch, show its cost, stop."""
    console = Console()
    data = data_dir(folder)
    data.make()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stopped as with Ctrl-C
    running = spawn(data, ["up", "--data-dir", str(data.path)])
    try:
        with Console(stderr=True).status(STARTING):
            wait_until_ready(data, running, START_S)
        found = addresses(data, without_given(environment()))
        client = open_client(found)
        before = _ledger_calls(found)
        source = _write_prompts(data.path / "prompts.jsonl", lines)
        uploaded = client.upload(source)
        summary = f"{lines} prompts in {_near(source)}, models {', '.join(MODELS)}"
        console.print(summary, highlight=False, soft_wrap=True)
        batch = client.create_batch(uploaded["id"], ENDPOINT, "24h", {"made-by": "demo"})
        batch = watch_batch(client, batch["id"])
        output = data.path / "answers.jsonl"
        save(client, batch["output_file_id"], output)
        _report(doors_of(ctx), console, data, found, batch, output, before)
        if stay:
            console.print("still running; stop it with Ctrl-C")
            signal.pause()
    finally:
        _stop(running)
    _show_next_steps(console, data)


def _show_next_steps(console: Console, data: DataDir) -> None:
    program = Path(sys.argv[0])
    me = _near(program) if program.name == "crossdock" else "crossdock"
    folder = _near(data.path)
    console.print(
        "everything is stopped; continue with the same data:\n"
        f"  {me} up --detach --data-dir {folder}\n"
        f"  {me} usage --data-dir {folder}",
        highlight=False,
        soft_wrap=True,
    )


def _near(path: Path) -> str:
    """Return `path` relative to the current folder, if it is below it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _stop(running: subprocess.Popen[bytes]) -> None:
    if running.poll() is None:
        running.send_signal(signal.SIGTERM)
        running.wait(60)


def _write_prompts(path: Path, count: int) -> Path:
    """Write `count` prompts with passages of Python's documentation, which every machine has."""
    with path.open("w") as out:
        for number, (name, text) in zip(range(count), _passages(), strict=False):
            prompt = f"Summarise this passage on {name!r} in one sentence:\n\n{text}"
            messages = [{"role": "user", "content": prompt}]
            line = {"custom_id": f"{name}-{number}", "method": "POST", "url": ENDPOINT}
            body = {"model": MODELS[number % len(MODELS)], "messages": messages}
            out.write(json.dumps(line | {"body": body}) + "\n")
    return path


def _passages() -> Iterator[tuple[str, str]]:
    while True:
        for name, text in sorted(topics.topics.items()):
            for start in range(0, len(text), 900):
                yield name, text[start : start + 900]


def _ledger_calls(found: dict[str, str]) -> int:
    url = f"{found['CROSSDOCK_SIMULATOR_URL']}/_simulator/ledger/summary"
    with urlopen(url) as answer:  # noqa: S310  # our own address
        return int(json.load(answer)["calls"])


def _report(
    doors: Doors,
    console: Console,
    data: DataDir,
    found: dict[str, str],
    batch: dict[str, Any],
    output: Path,
    before: int,
) -> None:
    """Show the batch's usage, and compare it with the results, the provider's ledger and the prices."""
    ledger = _ledger_calls(found) - before
    counts = batch["request_counts"]
    rows = doors.read_batch_usage(found["CLICKHOUSE_URL"], batch["id"], counts["total"], ledger)
    calls = sum(row[3] for row in rows)
    print_whole(usage_table(COLUMNS, rows), console)
    with output.open("rb") as answers:
        written = sum(1 for _ in answers)
    cost = sum((row[-1] for row in rows), Decimal(0))
    expected = _expected_cost(data, rows)
    lines = f"{counts['total']} in = {written} answered + {counts['failed']} failed"
    checks = [
        (written + counts["failed"] == counts["total"], f"lines: {lines}"),
        (
            calls == ledger,
            f"calls: {calls} rows in ClickHouse = {ledger} in the provider's own ledger",
        ),
        (cost == expected, f"cost: {cost.normalize()} USD = price x tokens, exactly"),
        _audit(doors, found),
    ]
    for good, text in checks:
        mark = "[green]ok[/]" if good else "[red]NO[/]"
        console.print(f"{mark}  {text}", highlight=False, soft_wrap=True)
    console.print(f"answers: {_near(output)}", highlight=False, soft_wrap=True)
    if not all(good for good, _ in checks):
        raise ProcessError(f"the records do not agree: see {data.path / 'logs'}")


def _audit(doors: Doors, found: dict[str, str]) -> tuple[bool, str]:
    """Run the checks of `crossdock audit`."""
    addresses = (found["CLICKHOUSE_URL"], found["KAFKA_BOOTSTRAP_SERVERS"])
    checks = asyncio.run(audited(doors.open_books, *addresses, wait_s=AUDIT_S))
    hold = sum(check.is_ok for check in checks)
    text = f"audit: {hold} of {len(checks)} checks of journal, calls, keys' spending, credits and budgets hold"
    return hold == len(checks), text


def _expected_cost(data: DataDir, rows: Sequence[Row]) -> Decimal:
    """Return price x tokens, from the catalogue's prices."""
    prices = {
        (e.model, e.provider): e.prices
        for e in load_catalogue(data.path / "catalogue.json").endpoints
    }
    total = Decimal(0)
    for model, provider, _, _, _, read, written, _ in rows:
        price = prices[model, provider]
        total += (read * price.input + written * price.output) / 1_000_000
    return total
