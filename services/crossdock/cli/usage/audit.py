"""crossdock audit: proves that ClickHouse's records and the shards' state agree."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from crossdock.audit.checks import Check
from crossdock.audit.looks import audited
from crossdock.cli.shared.doors import doors_of
from crossdock.cli.shared.installation import DataDirOption, address, reached
from crossdock.cli.shared.options import JsonOption
from crossdock.cli.shared.output import show_json, show_rows
from crossdock_schemas.money import usd_text

COLUMNS = ("check", "", "figures")


def audit(
    ctx: typer.Context,
    wait: Annotated[
        float,
        typer.Option(
            min=0, help="The longest time to wait until all checks hold.", metavar="SECONDS"
        ),
    ] = 15.0,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Prove that every change and every cent is accounted for.

    The exit code is 0 if all checks hold, else 1. While calls run, records arrive about a second after each other:
    checks that fail are repeated until they hold or the time to wait is over.
    """
    url, servers = _addresses(data_dir_)
    checks = asyncio.run(audited(doors_of(ctx).open_books, url, servers, wait_s=wait))
    is_ok = all(check.is_ok for check in checks)
    if as_json:
        show_json({"ok": is_ok, "checks": [check.as_json() for check in checks]})
    else:
        _show(checks)
    if not is_ok:
        raise typer.Exit(1)


def _addresses(path: Path | None) -> tuple[str, str]:
    found = reached(path)
    return (
        address(found, "CLICKHOUSE_URL", "the journal and the calls are in ClickHouse"),
        address(found, "KAFKA_BOOTSTRAP_SERVERS", "the shards' state is on a topic"),
    )


def _show(checks: Sequence[Check]) -> None:
    show_rows(COLUMNS, [_row(check) for check in checks], folded="figures")
    if all(check.is_ok for check in checks):
        typer.echo(f"all {len(checks)} checks hold")
    for check in checks:
        if check.is_ok:
            continue
        left = check.wrong - len(check.named)
        more = [f"and {left} more"] if left > 0 else []
        typer.echo("\n  ".join([f"\n{check.name}: no", *check.named, *more]))


def _row(check: Check) -> list[object]:
    figures = [
        f"{name.removesuffix('_usd')} {usd_text(value)} USD"
        if isinstance(value, Decimal)
        else f"{name} {value}"
        for name, value in check.figures.items()
    ]
    return [check.name, "ok" if check.is_ok else "no", ", ".join(figures)]
