"""crossdock usage: what it cost, as a table and as a plot over time."""

import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.console import Console, JustifyMethod
from rich.table import Table

from crossdock.cli.shared.installation import DataDirOption, reached
from crossdock.kernel.process.clock import SystemClock

_BY_MODEL = """
SELECT model, provider, sum(requests), sum(calls), sum(failed_calls), sum(input_tokens), sum(output_tokens), sum(cost_usd)
FROM crossdock.usage_by_provider GROUP BY model, provider ORDER BY model, provider
"""
_OVER_TIME = """
SELECT toStartOfInterval(started_at, toIntervalSecond({step:UInt32})) AS slot, model, sum(cost_usd)
FROM crossdock.attempts FINAL WHERE started_at > now() - toIntervalSecond({span:UInt32})
GROUP BY slot, model ORDER BY slot
"""
COLUMNS = (
    "model",
    "provider",
    "requests",
    "calls",
    "failed calls",
    "input tokens",
    "output tokens",
    "USD",
)
SLOTS = 60


def usage(
    hours: Annotated[float, typer.Option(help="How far back the plot goes.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Show tokens and cost by model and provider, and cost over time by model."""
    rows, times = asyncio.run(_read(reached(data_dir_)["CLICKHOUSE_URL"], hours))
    if as_json:
        plain = [dict(zip(COLUMNS, (*row[:-1], str(row[-1])), strict=True)) for row in rows]
        sys.stdout.write(json.dumps(plain, indent=1) + "\n")
        return
    console = Console()
    console.print(usage_table(COLUMNS, rows))
    if times:
        _plot(
            times,
            hours,
            console.width,
            now=datetime.fromtimestamp(SystemClock().now_ms() / 1000, UTC),
        )


async def _read(url: str, hours: float) -> tuple[list[Sequence[Any]], list[Sequence[Any]]]:
    from crossdock.kernel.drivers.clickhouse import open_tables

    span = _span_s(hours)
    async with open_tables(url) as tables:
        rows = await tables.query(_BY_MODEL)
        times = await tables.query(_OVER_TIME, {"step": span // SLOTS, "span": span})
    return rows, times


def usage_table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """Return the table with its totals. Headers break, numbers never do: a cut amount is a wrong one."""
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
    """Return a cell; of an amount no digit is left out but the zeros at its end."""
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)


def slots_until(now: datetime, hours: float) -> list[datetime]:
    """Return the beginnings of the plot's slots, the last one under way."""
    step = _span_s(hours) // SLOTS
    last = int(now.timestamp()) // step * step
    return [datetime.fromtimestamp(last - step * n, UTC) for n in reversed(range(SLOTS + 1))]


def _span_s(hours: float) -> int:
    return max(SLOTS, round(hours * 3600))


def _plot(times: Sequence[Sequence[Any]], hours: float, width: int, *, now: datetime) -> None:
    """Print cost by model; time runs in minutes up to now, which the title names."""
    import plotext

    slots = slots_until(now, hours)
    minutes = [(slot - slots[-1]).total_seconds() / 60 for slot in slots]
    figure = plotext.figure
    figure.clear()
    figure.theme("colorless")
    figure.plot_size(min(width, 100), 16)
    for model in sorted({row[1] for row in times}):
        costs = {row[0].replace(tzinfo=UTC): float(row[2]) for row in times if row[1] == model}
        line = figure.signal(minutes, [costs.get(slot, 0.0) for slot in slots], marker="braille")
        figure.draw(line.lines().label(model))
    figure.title(f"USD by model, last {hours:g} h; minutes before {slots[-1]:%Y-%m-%d %H:%M} UTC")
    figure.show(colorless=True)
