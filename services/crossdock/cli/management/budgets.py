"""crossdock budgets: list, show, set, clear."""

from typing import Annotated, Any

import typer

from crossdock.cli.management.resource import Fields, Resource
from crossdock.cli.management.scopes import BudgetedName, scope_of
from crossdock.cli.shared.management_client import Management, without_none
from crossdock.cli.shared.options import IncludeByokOption, ReplaceOption, usd_of
from crossdock.kernel.process.errors import ProcessError
from crossdock_schemas.windows import Window

WindowOption = Annotated[
    Window,
    typer.Option(
        "--window",
        help="Starts again at midnight UTC, on Monday, or on the first of the month; total: never.",
    ),
]
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
budgets.add_list("List budgets and their headroom, in USD.")


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
            help="Makes the budget fluid: it holds the expected cost of calls instead of the worst case, and may be "
            "exceeded by this amount.",
            metavar="USD",
        ),
    ] = None,
    replace: ReplaceOption = False,
) -> Any:
    """Limit what an organization, a project, a key, an end user or a tag may spend in a window.

    Budgets of its other windows stay, and so does what has no option here. Spending of an end user or a tag is counted
    from its first budget on.

    The worst case of a call is held before the call runs. Without headroom a single request is refused, and the lines
    of a batch wait.
    """
    body = {
        "limit_usd": usd_of("AMOUNT", amount),
        "overshoot_usd": None if overshoot is None else usd_of("--overshoot", overshoot),
        "include_byok": include_byok,
    }
    path = budgets.path(management, scope=scope, window=window)
    set_fields = management.replace if replace else management.merge
    return set_fields(*path, body=without_none(body))


budgets.add_removal(
    "clear",
    "Remove the budget of one window.",
    lambda entry: (
        f"the {entry['window']} budget of the {entry['level']} {entry['scope']!r}, {entry['limit_usd']} USD"
    ),
    names={"scope": BudgetedName, "window": WindowOption},
    find=_find,
)
