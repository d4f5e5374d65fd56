"""crossdock batches estimate: the cost of a file before it is submitted."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from crossdock.batches.core.line_check import CheckedLine, LineRules, check_line
from crossdock.batches.core.line_preparation import prepare_line
from crossdock.cli.shared.catalogue import CatalogueOption, catalogue_of
from crossdock.cli.shared.doors import Doors, doors_of
from crossdock.cli.shared.files import UnusableFileError, readable
from crossdock.cli.shared.installation import DataDirOption, reached
from crossdock.cli.shared.options import JsonOption
from crossdock.cli.shared.output import show_json, show_rows
from crossdock.kernel.process.errors import CrossdockError
from crossdock_schemas.accounts.preset import Preparation, Preset, PresetSettings, preparation_of
from crossdock_schemas.batches.batch import LineError
from crossdock_schemas.operations import CHAT
from crossdock_schemas.pricing.catalogue import Catalogue
from crossdock_schemas.pricing.estimate import AskTotals, Estimate, estimate

FILE = typer.Argument(help="JSONL in OpenAI's batch input format; - is stdin.", metavar="FILE")
MAX_SHOWN = 20  # errors
MAX_LINE_BYTES = 10_485_760
COLUMNS = ("model", "lines", "lowest USD", "expected USD", "worst case USD")


@dataclass
class FileSummary:
    """The requests of a file, by model, and its invalid lines."""

    sums: dict[str, AskTotals] = field(default_factory=dict)
    errors: list[LineError] = field(default_factory=list)
    wrong: int = 0


def estimate_file(
    ctx: typer.Context,
    file: Annotated[Path, FILE],
    endpoint: Annotated[
        str, typer.Option(help="The URL of its requests.", metavar="PATH")
    ] = CHAT.path,
    catalogue: CatalogueOption = None,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Estimate the cost of FILE as a batch. Nothing is sent.

    lowest: the cheapest endpoint, a token per four bytes, empty answers. expected: answers as long as in the last week,
    endpoints as often as the router draws them. worst case: the hold if all lines ran at once; with less headroom some
    lines wait. Policies are ignored. The exit code is 1 if lines are invalid.
    """
    found = reached(data_dir_)
    offers = catalogue_of(catalogue, data_dir_, found["OPENAI_BASE_URL"])
    doors = doors_of(ctx)
    rules = LineRules(endpoint, offers.models, MAX_LINE_BYTES)
    account, preparation = _caller(found, doors)
    with readable(file) as found_file:
        summary = summarize(found_file, rules, preparation)
    lengths = _answer_lengths(found, account, doors)
    estimates = {
        model: _estimate(offers, endpoint, {model: sums}, lengths)
        for model, sums in summary.sums.items()
    }
    total = _estimate(offers, endpoint, summary.sums, lengths)
    if as_json:
        show_json(_as_json(summary, estimates, total))
    else:
        _show(summary, estimates, total)
    if summary.wrong:
        raise typer.Exit(1)


def summarize(file: Path, rules: LineRules, preparation: Preparation | None = None) -> FileSummary:
    """Read `file` once, line by line."""
    summary = FileSummary()
    for number, given in _lines(file):
        raw = prepare_line(given, number, rules.operation, preparation)
        checked = raw if isinstance(raw, LineError) else check_line(raw, number, rules)
        if isinstance(raw, bytes) and isinstance(checked, CheckedLine):
            summary.sums.setdefault(checked.model, AskTotals()).add(checked.ask, len(raw))
        elif isinstance(checked, LineError):
            summary.wrong += 1
            summary.errors += [checked] if summary.wrong <= MAX_SHOWN else []
    if not summary.sums and not summary.wrong:
        raise UnusableFileError(f"{file} is empty: write one request per line")
    return summary


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, numbered from 1."""
    with file.open("rb") as content:
        for number, line in enumerate(content, start=1):
            raw = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if raw.strip():
                yield number, raw.strip(b"\r\n")


def _estimate(
    offers: Catalogue, operation: str, sums: Mapping[str, AskTotals], lengths: Mapping[str, float]
) -> Estimate:
    serving = {model: offers.serving(model, operation) for model in sums}
    return estimate(sums, serving, lengths)


def _caller(found: Mapping[str, str], doors: Doors) -> tuple[str | None, Preparation | None]:
    """Return the account that would submit the file, and the preparation of its lines; None if the API is silent."""
    if "OPENAI_API_KEY" not in found:
        return None, None
    client = doors.make_client(found["OPENAI_BASE_URL"], found["OPENAI_API_KEY"])
    with suppress(CrossdockError), closing(client):
        key = client.ask("GET", "/key")["data"]
        return key["organization_id"], _preparation(key, client.ask("GET", "/presets")["data"])
    return None, None


def _preparation(key: Mapping[str, Any], shown: Sequence[Mapping[str, Any]]) -> Preparation | None:
    by_scope: dict[str, dict[str, Preset]] = {}
    for one in shown:
        shared = {
            name: one[name] for name in (*PresetSettings.model_fields, "scope", "slug", "version")
        }
        preset = Preset(**shared, account=key["organization_id"], updated_at_ms=0)
        by_scope.setdefault(preset.scope, {})[preset.slug] = preset
    scopes = (key["organization_id"], key["project_id"])
    return preparation_of(*(by_scope.get(scope, {}) for scope in scopes))


def _answer_lengths(
    found: Mapping[str, str], account: str | None, doors: Doors
) -> Mapping[str, float]:
    """Return the mean length of past answers by model; empty if ClickHouse or the API does not answer."""
    if account is not None and "CLICKHOUSE_URL" in found:
        with suppress(CrossdockError):
            return doors.read_answer_lengths(found["CLICKHOUSE_URL"], account)
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
        typer.echo("some models have no past answers: 256 tokens per answer are assumed for them")
    for error in summary.errors:
        sys.stderr.write(f"line {error.line}: {error.code}: {error.message}\n")
    if summary.wrong:
        sys.stderr.write(f"{summary.wrong} lines are invalid: as a batch the file would fail\n")


def _row(model: str, lines: int, one: Estimate) -> list[object]:
    amounts = (one.low_usd, one.likely_usd, one.worst_usd)
    return [model, lines, *(f"{amount:.6f}" for amount in amounts)]
