"""Output of the commands: JSON for programs, tables for people, a new key alone on stdout."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

MAX_WIDTH = 10_000
MIN_FOLDED = 12
REPEATED = frozenset(
    {
        *("workspace_id", "creator_user_id", "external_user", "status_updated_at"),
        *("designated_version", "designated_version_id"),
    }
)
"""Fields for OpenRouter's clients, which repeat others or are empty. Only JSON has them."""
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?|-")
NOTE = "This key is shown only now: store it."


def show_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=1) + "\n")


def show_rows(columns: Sequence[str], rows: Sequence[Sequence[object]], folded: str) -> None:
    """Print a table. Numbers are aligned; only the column `folded` is wrapped on a narrow terminal."""
    table = Table(box=None, pad_edge=False)
    cells = [[_cell(value) for value in row] for row in rows]
    for column, *below in zip(columns, *cells, strict=True):
        is_folded = column == folded
        least = (len(column), *(cell.cell_len for cell in below))
        width = MIN_FOLDED if is_folded else max(least)
        texts = {cell.plain for cell in below}
        is_number = texts != {"-"} and all(map(_NUMBER.fullmatch, texts))
        table.add_column(
            column,
            justify="right" if is_number else "left",
            no_wrap=not is_folded,
            overflow="fold",
            min_width=width,
        )
    for row_cells in cells:
        table.add_row(*row_cells)
    print_whole(table, Console())


def show_fields(entry: Mapping[str, Any], *, to_stderr: bool = False) -> None:
    """Print one entry, a field per line."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", min_width=64)
    for name, value in entry.items():
        if name not in REPEATED:
            table.add_row(_cell(name), _cell(value))
    print_whole(table, Console(stderr=to_stderr))


def show_entry(value: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(value)
    else:
        show_fields(value)


def hand_over(value: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a response with a new key. Without --json stdout has the key alone, for scripts."""
    if as_json:
        show_json(value)
        return
    sys.stdout.write(f"{value['key']}\n")
    sys.stdout.flush()
    show_fields(value["data"], to_stderr=True)
    sys.stderr.write(f"{NOTE}\n")


def print_whole(table: Table, console: Console) -> None:
    """Print a table without truncated cells, also where the terminal is too narrow."""
    wide = console.options.update(max_width=MAX_WIDTH)
    console.width = max(console.width, Measurement.get(console, wide, table).minimum)
    console.print(table)


def _cell(value: object) -> Text:
    """Return the text of a value, without markup and control characters."""
    return Text("".join(char if char.isprintable() else "?" for char in text_of(value)))


def text_of(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case Mapping():
            return ", ".join(f"{name}={part}" for name, part in value.items()) or "-"
        case list():
            return ", ".join(map(str, value)) or "-"
        case _:
            return str(value)
