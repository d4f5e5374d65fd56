"""crossdock budgets: list, show, set, clear."""

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from crossdock.cli.management.scopes import BudgetedName, scope_of
from crossdock.cli.shared.confirm import YesOption, ask, need_consent
from crossdock.cli.shared.installation import DataDirOption
from crossdock.cli.shared.management_client import Management, open_management
from crossdock.cli.shared.options import IncludeByokOption, JsonOption, usd_of
from crossdock.cli.shared.output import show_json, show_rows
from crossdock.kernel.process.errors import ProcessError
from crossdock_schemas.windows import Window

app = typer.Typer(
    help="Budgets: how much may be spent in a day, week or month.",
    no_args_is_help=True,
)
PLACE = "budgets"
COLUMNS = ("scope", "level", "window", "limit", "overshoot", "spend", "held", "remaining", "resets")
FIELDS = (
    *("scope", "level", "window", "limit_usd", "overshoot_usd", "spend_usd", "held_usd"),
    *("remaining_usd", "resets_at"),
)
WINDOW_HELP = "Begins anew at midnight UTC, on Monday, on the first of the month; total: never."
WindowOption = Annotated[Window, typer.Option("--window", help=WINDOW_HELP)]


@app.command("list")
def list_(ctx: typer.Context, as_json: JsonOption = False, data_dir_: DataDirOption = None) -> None:
    """List budgets, with what is left of them in USD."""
    with open_management(ctx, data_dir_) as management:
        found = management.listed(PLACE)
    _show(found, as_json=as_json)


@app.command()
def show(
    ctx: typer.Context,
    scope: BudgetedName,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Show the budgets of an organization, a project, a key, an end user or a tag."""
    with open_management(ctx, data_dir_) as management:
        found = management.listed(PLACE, scope_of(management, scope))
    _show(found, as_json=as_json)


def _show(found: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    if as_json:
        show_json(found)
    elif found:
        show_rows(COLUMNS, [[entry[name] for name in FIELDS] for entry in found], folded="level")
    else:
        sys.stderr.write("no budgets\n")


@app.command("set")
def set_(
    ctx: typer.Context,
    scope: BudgetedName,
    amount: Annotated[str, typer.Argument(help="USD, such as 12.50.", metavar="AMOUNT")],
    window: WindowOption = Window.TOTAL,
    include_byok: IncludeByokOption = None,
    overshoot: Annotated[
        str | None,
        typer.Option(
            help="Makes it fluid: only what calls are likely to cost is held against it; it may be exceeded by as much.",
            metavar="USD",
        ),
    ] = None,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Limit what an organization, a project, a key, an end user or a tag may spend in a window.

    Its other windows stay as they are. What counts for an end user or a tag is counted from its first budget on.

    What a call can cost at most is held before it runs. Beyond the budget a single request is refused, and a batch's
    lines wait.
    """
    body: dict[str, object] = {"limit_usd": usd_of("AMOUNT", amount)}
    if overshoot is not None:
        body["overshoot_usd"] = usd_of("--overshoot", overshoot)
    if include_byok is not None:
        body["include_byok"] = include_byok
    with open_management(ctx, data_dir_) as management:
        entry = management.replace(PLACE, scope_of(management, scope), window.value, body=body)
    if as_json:
        show_json(entry)
    else:
        _show([entry], as_json=False)


@app.command()
def clear(
    ctx: typer.Context,
    scope: BudgetedName,
    window: WindowOption,
    is_sure: YesOption = False,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Remove the budget of one window: in it, nothing is limited from then on."""
    need_consent("clear", is_sure=is_sure)
    with open_management(ctx, data_dir_) as management:
        id_ = scope_of(management, scope)
        if not is_sure:
            entry = _entry(management, id_, window)
            of_whom = f"the {entry['level']} {id_!r}"
            ask(f"clear the {window} budget of {of_whom}, {entry['limit_usd']} USD?", "not cleared")
        answer = management.delete(PLACE, id_, window.value)
    if as_json:
        show_json(answer)
    else:
        sys.stderr.write("cleared\n")


def _entry(management: Management, scope: str, window: Window) -> Mapping[str, Any]:
    for entry in management.listed(PLACE, scope):
        if entry["window"] == window:
            return entry
    raise ProcessError(f"{scope!r} has no {window} budget")
