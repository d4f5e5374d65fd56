"""crossdock batches estimate: what a file would cost, before it is submitted."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from crossdock.batches.core.line_check import Rules, Sound, check_line
from crossdock.batches.core.line_preparation import prepare_line
from crossdock.cli.shared.catalogue import CatalogueOption, catalogue_of
from crossdock.cli.shared.doors import Doors, doors_of
from crossdock.cli.shared.installation import DataDirOption, reached
from crossdock.cli.shared.options import JsonOption
from crossdock.cli.shared.output import show_json, show_rows
from crossdock.kernel.process.errors import CrossdockError, ProcessError
from crossdock_schemas.accounts.preset import Preparation, Preset, Settings, preparation_of
from crossdock_schemas.batches.batch import LineError
from crossdock_schemas.operations import CHAT
from crossdock_schemas.pricing.catalogue import Catalogue
from crossdock_schemas.pricing.estimate import Estimate, Sums, estimate

MAX_SHOWN = 20  # errors
MAX_LINE_BYTES = 10_485_760
COLUMNS = ("model", "lines", "low", "likely", "worst")


@dataclass
class FileSummary:
    """What a file asks for."""

    sums: dict[str, Sums] = field(default_factory=dict)
    errors: list[LineError] = field(default_factory=list)
    wrong: int = 0


def estimate_file(
    ctx: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="JSONL in OpenAI's batch input form."),
    ],
    endpoint: Annotated[
        str, typer.Option(help="Such as /v1/embeddings.", metavar="PATH")
    ] = CHAT.path,
    catalogue: CatalogueOption = None,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Show what FILE would cost as a batch. Nothing is sent.

    low: the cheapest endpoint, a token for four bytes, no answer at all. likely: answers as long as those of the last
    week, endpoints as often as they are drawn. worst: what would be held if all lines ran at once; a budget that leaves
    less lets some lines wait. Policies are not asked. Lines that would be refused end with exit code 1.
    """
    found = reached(data_dir_)
    offers = catalogue_of(catalogue, data_dir_, found["OPENAI_BASE_URL"])
    doors = doors_of(ctx)
    rules = Rules(endpoint, offers.models, MAX_LINE_BYTES)
    caller = _ask(found, doors)
    summary = summarize(file, rules, None if caller is None else caller.preparation)
    usual = _usual(found, caller, doors)
    estimates = {
        model: _estimate(offers, endpoint, {model: sums}, usual)
        for model, sums in summary.sums.items()
    }
    total = _estimate(offers, endpoint, summary.sums, usual)
    if as_json:
        show_json(_as_json(summary, estimates, total))
    else:
        _show(summary, estimates, total)
    if summary.wrong:
        raise typer.Exit(1)


def summarize(file: Path, rules: Rules, preparation: Preparation | None = None) -> FileSummary:
    """Read `file` once, line by line."""
    summary = FileSummary()
    for number, given in _lines(file):
        raw = prepare_line(given, number, rules.operation, preparation)
        checked = raw if isinstance(raw, LineError) else check_line(raw, number, rules)
        if isinstance(raw, bytes) and isinstance(checked, Sound):
            summary.sums.setdefault(checked.model, Sums()).add(checked.ask, len(raw))
        elif isinstance(checked, LineError):
            summary.wrong += 1
            summary.errors += [checked] if summary.wrong <= MAX_SHOWN else []
    if not summary.sums and not summary.wrong:
        raise ProcessError(f"{file}: it has no lines")
    return summary


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, with their numbers, from 1."""
    with file.open("rb") as content:
        for number, line in enumerate(content, start=1):
            raw = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if raw.strip():
                yield number, raw.strip(b"\r\n")


def _estimate(
    offers: Catalogue, operation: str, sums: Mapping[str, Sums], usual: Mapping[str, float]
) -> Estimate:
    serving = {model: offers.serving(model, operation) for model in sums}
    return estimate(sums, serving, usual)


@dataclass(frozen=True)
class Caller:
    """Who would submit the file, and what its lines would go through."""

    account: str
    preparation: Preparation | None


def _ask(found: Mapping[str, str], doors: Doors) -> Caller | None:
    """Ask the API whose key it is, and for its presets; None where it cannot be asked."""
    if "OPENAI_API_KEY" not in found:
        return None
    with suppress(CrossdockError):
        client = doors.make_client(found["OPENAI_BASE_URL"], found["OPENAI_API_KEY"])
        try:
            key = client.ask("GET", "/key")["data"]
            shown = client.ask("GET", "/presets")["data"]
        finally:
            client.close()
        return Caller(key["organization_id"], _preparation(key, shown))
    return None


def _preparation(key: Mapping[str, Any], shown: Sequence[Mapping[str, Any]]) -> Preparation | None:
    by_scope: dict[str, dict[str, Preset]] = {}
    for one in shown:
        said = {name: one[name] for name in Settings.model_fields}
        preset = Preset(
            **said,
            account=key["organization_id"],
            scope=one["scope"],
            slug=one["slug"],
            version=one["version"],
            updated_at_ms=0,
        )
        by_scope.setdefault(preset.scope, {})[preset.slug] = preset
    scopes = (key["organization_id"], key["project_id"])
    return preparation_of(*(by_scope.get(scope, {}) for scope in scopes))


def _usual(found: Mapping[str, str], caller: Caller | None, doors: Doors) -> Mapping[str, float]:
    """Return what earlier answers were like; nothing where ClickHouse or the API cannot be asked."""
    if caller is None or "CLICKHOUSE_URL" not in found:
        return {}
    with suppress(CrossdockError):
        return doors.read_answer_lengths(found["CLICKHOUSE_URL"], caller.account)
    return {}


def _as_json(
    summary: FileSummary, estimates: Mapping[str, Estimate], total: Estimate
) -> dict[str, object]:
    return {
        **total.figures(),
        "lines": sum(sums.lines for sums in summary.sums.values()),
        "wrong_lines": summary.wrong,
        "errors": [error.model_dump(mode="json") for error in summary.errors],
        "models": [
            {"model": model, "lines": summary.sums[model].lines, **one.figures()}
            for model, one in estimates.items()
        ],
    }


def _show(summary: FileSummary, estimates: Mapping[str, Estimate], total: Estimate) -> None:
    rows = [_row(model, summary.sums[model].lines, one) for model, one in estimates.items()]
    lines = sum(sums.lines for sums in summary.sums.values())
    show_rows(COLUMNS, [*rows, _row("all", lines, total)], folded="model")
    if not total.is_from_history:
        typer.echo("no earlier answers of some model: 256 tokens are assumed for each")
    for error in summary.errors:
        sys.stderr.write(f"line {error.line}: {error.code}: {error.message}\n")
    if summary.wrong:
        sys.stderr.write(f"{summary.wrong} lines are not sound: as a batch the file would fail\n")


def _row(model: str, lines: int, one: Estimate) -> list[object]:
    amounts = (one.low_usd, one.likely_usd, one.worst_usd)
    return [model, lines, *(f"{amount:.6f}" for amount in amounts)]
