"""crossdock usage: tokens and cost, as a table and as a plot over time."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.console import Console, JustifyMethod
from rich.table import Table

from crossdock.cli.shared.doors import doors_of
from crossdock.cli.shared.installation import DataDirOption, address, reached
from crossdock.cli.shared.options import MAX_HOURS, JsonOption, finite
from crossdock.cli.shared.output import print_whole, show_json
from crossdock.cli.usage.slots import SLOTS, slots_until, span_of
from crossdock.kernel.process.clock import SystemClock

COLUMNS = (
    *("model", "provider", "requests", "calls", "failed calls", "input tokens", "output tokens"),
    "USD",
)


def usage(
    ctx: typer.Context,
    hours: Annotated[
        float,
        typer.Option(
            min=0.01, max=MAX_HOURS, callback=finite, help="The hours that the plot shows."
        ),
    ] = 1.0,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Show tokens and cost by model and provider, and over time."""
    span_s = span_of(hours)
    url = address(reached(data_dir_), "CLICKHOUSE_URL", "usage is in ClickHouse")
    doors = doors_of(ctx)
    rows, times = doors.read_usage(url, span_s, span_s // SLOTS)
    if as_json:
        plain = [dict(zip(COLUMNS, (*row[:-1], f"{row[-1]:f}"), strict=True)) for row in rows]
        show_json(plain)
        return
    if not rows:
        sys.stderr.write("no calls yet: submit a batch with `crossdock batches submit FILE`\n")
        return
    console = Console()
    print_whole(usage_table(COLUMNS, rows), console)
    if times:
        now = datetime.fromtimestamp(SystemClock().now_ms() / 1000, UTC)
        doors.plot(times, slots_until(now, hours), hours, console.width)


def usage_table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """Return the table with its totals. Headers are wrapped; numbers never are, because a truncated amount is wrong."""
    table = Table(box=None, pad_edge=False, show_footer=True, padding=(0, 1, 0, 0))
    for number, name in enumerate(names):
        justify: JustifyMethod = "right" if number > 1 else "left"
        total = _text(sum(row[number] for row in rows)) if number > 1 else ""
        width = max(len(_text(cell)) for cell in (total, *(row[number] for row in rows)))
        table.add_column(
            name.replace(" ", "\n"),
            footer=total or ("" if number else "total"),
            justify=justify,
            min_width=width,
            no_wrap=True,
        )
    for row in rows:
        table.add_row(*map(_text, row))
    return table


def _text(value: object) -> str:
    """Return a cell. An amount keeps all digits except zeros at its end."""
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)
