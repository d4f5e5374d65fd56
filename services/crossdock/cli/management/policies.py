"""crossdock policies: list, show, set, clear; test is a module of its own."""

import sys
from collections.abc import Mapping
from typing import Any

import typer

from crossdock.cli.management import policy_dry_run
from crossdock.cli.management.policy_options import (
    ALLOWED,
    AllowedModels,
    AllowedProviders,
    AllowedRegions,
    FilterPatterns,
    Filters,
    IgnoredModels,
    IgnoredProviders,
    MaxCompletionPrice,
    MaxPromptPrice,
    MaxRequestPrice,
    MaxTokens,
    NoTools,
    NoTraining,
    Quantizations,
    ZeroRetention,
    body_of,
    filters_text,
    policy_of,
    rules_of,
    rules_text,
)
from crossdock.cli.management.scopes import ScopeName, scope_of
from crossdock.cli.shared.confirm import YesOption, ask, need_consent
from crossdock.cli.shared.installation import DataDirOption
from crossdock.cli.shared.management_client import open_management
from crossdock.cli.shared.options import JsonOption
from crossdock.cli.shared.output import show_fields, show_json, show_rows

app = typer.Typer(
    help="Policies: which models, providers and prices are allowed.",
    no_args_is_help=True,
)
app.command("test")(policy_dry_run.try_rules)
PLACE = "policies"
COLUMNS = ("scope", "level", "rules", "version", "updated")


@app.command("list")
def list_(ctx: typer.Context, as_json: JsonOption = False, data_dir_: DataDirOption = None) -> None:
    """List policies."""
    with open_management(ctx, data_dir_) as management:
        found = management.listed(PLACE)
    if as_json:
        show_json(found)
    elif found:
        show_rows(COLUMNS, [_row(entry) for entry in found], folded="rules")
    else:
        sys.stderr.write("no policies\n")


def _row(entry: Mapping[str, Any]) -> list[object]:
    rules = rules_text(policy_of(entry).rules)
    return [entry["scope"], entry["level"], rules, entry["version"], entry["updated_at"]]


@app.command()
def show(
    ctx: typer.Context,
    scope: ScopeName,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Show the policy of an organization, a project or a key."""
    with open_management(ctx, data_dir_) as management:
        entry = management.entry(PLACE, scope_of(management, scope))
    _show(entry, as_json=as_json)


@app.command("set")
def set_(
    ctx: typer.Context,
    scope: ScopeName,
    allowed_models: AllowedModels = None,
    ignored_models: IgnoredModels = None,
    allowed_providers: AllowedProviders = None,
    ignored_providers: IgnoredProviders = None,
    max_prompt_price: MaxPromptPrice = None,
    max_completion_price: MaxCompletionPrice = None,
    max_request_price: MaxRequestPrice = None,
    no_training: NoTraining = False,
    zdr: ZeroRetention = False,
    allowed_data_regions: AllowedRegions = None,
    quantizations: Quantizations = None,
    max_tokens: MaxTokens = None,
    no_tools: NoTools = False,
    filters: Filters = None,
    filter_patterns: FilterPatterns = None,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Replace the whole policy of an organization, a project or a key.

    What no option says is not demanded any more. A request needs an endpoint that every policy of its organization,
    project and key permits, and must itself keep to all of them.
    """
    rules = rules_of(
        allowed_models=allowed_models,
        ignored_models=ignored_models,
        allowed_providers=allowed_providers,
        ignored_providers=ignored_providers,
        max_prompt_price=max_prompt_price,
        max_completion_price=max_completion_price,
        max_request_price=max_request_price,
        no_training=no_training,
        zdr=zdr,
        allowed_data_regions=allowed_data_regions,
        quantizations=quantizations,
        max_tokens=max_tokens,
        no_tools=no_tools,
        filters=filters,
        filter_patterns=filter_patterns,
    )
    with open_management(ctx, data_dir_) as management:
        entry = management.replace(PLACE, scope_of(management, scope), body=body_of(rules))
    _show(entry, as_json=as_json)


def _show(entry: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(entry)
        return
    # why: an empty list looks like none at all, and means the opposite
    nothing = {name: "nothing" for name in ALLOWED if entry[name] == []}
    prices = {name: price for name, price in entry["max_price"].items() if price is not None}
    filters = filters_text(policy_of(entry).rules)
    show_fields({**entry, **nothing, "max_price": prices, **filters})


@app.command()
def clear(
    ctx: typer.Context,
    scope: ScopeName,
    is_sure: YesOption = False,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Remove the policy of an organization, a project or a key: it demands nothing from then on."""
    need_consent("clear", is_sure=is_sure)
    with open_management(ctx, data_dir_) as management:
        id_ = scope_of(management, scope)
        if not is_sure:
            entry = management.entry(PLACE, id_)
            ask(f"clear the policy of the {entry['level']} {id_!r}?", "not cleared")
        answer = management.delete(PLACE, id_)
    if as_json:
        show_json(answer)
    else:
        sys.stderr.write("cleared\n")
