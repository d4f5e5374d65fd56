"""crossdock budgets: list, show, set, clear."""

from typing import Annotated, Any

import typer

from crossdock.cli.management.resource import Fields, Resource
from crossdock.cli.management.scopes import BudgetedName, scope_of
from crossdock.cli.shared.management_client import Management, given
from crossdock.cli.shared.options import IncludeByokOption, usd_of
from crossdock.kernel.process.errors import ProcessError
from crossdock_schemas.windows import Window

WINDOW_HELP = "Begins anew at midnight UTC, on Monday, on the first of the month; total: never."
WindowOption = Annotated[Window, typer.Option("--window", help=WINDOW_HELP)]
COLUMNS = (
    *("scope", "level", "window", "limit_usd", "overshoot_usd", "spend_usd", "held_usd"),
    *("remaining_usd", "resets_at"),
)


def _parts(management: Management, scope: str, window: Window | None = None) -> tuple[str, ...]:
    return (scope_of(management, scope), *([] if window is None else [window.value]))


def _find(management: Management, place: str, scope: str, window: str) -> Fields:
    for entry in management.listed(place, scope):
        if entry["window"] == window:
            return entry
    raise ProcessError(f"{scope!r} has no {window} budget")


budgets = Resource(
    "budgets",
    help="Budgets: how much may be spent in a day, week or month.",
    columns=COLUMNS,
    folded="level",
    names={"scope": BudgetedName},
    parts=_parts,
)
app = budgets.app
budgets.add_list("List budgets, with what is left of them in USD.")


@budgets.command("show", show=budgets.show_all)
def show(management: Management, scope: BudgetedName) -> Any:
    """Show the budgets of an organization, a project, a key, an end user or a tag."""
    return management.listed(*budgets.path(management, scope=scope))


@budgets.command(
    "set",
    show=lambda entry, *, as_json: budgets.show_all(entry if as_json else [entry], as_json=as_json),
)
def set_(
    management: Management,
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
) -> Any:
    """Limit what an organization, a project, a key, an end user or a tag may spend in a window.

    Its other windows stay as they are. What counts for an end user or a tag is counted from its first budget on.

    What a call can cost at most is held before it runs. Beyond the budget a single request is refused, and a batch's
    lines wait.
    """
    body = {
        "limit_usd": usd_of("AMOUNT", amount),
        "overshoot_usd": None if overshoot is None else usd_of("--overshoot", overshoot),
        "include_byok": include_byok,
    }
    path = budgets.path(management, scope=scope, window=window)
    return management.replace(*path, body=given(body))


budgets.add_removal(
    "clear",
    "Remove the budget of one window: in it, nothing is limited from then on.",
    lambda entry: (
        f"the {entry['window']} budget of the {entry['level']} {entry['scope']!r}, {entry['limit_usd']} USD"
    ),
    names={"scope": BudgetedName, "window": WindowOption},
    find=_find,
)
