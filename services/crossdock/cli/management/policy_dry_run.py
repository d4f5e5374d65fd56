"""crossdock policies test: replays past requests under new rules."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from crossdock.audit.policy_replay import (
    Replayed,
    bound_by,
    not_judged,
    replay,
    total_of,
    why_excluded,
    with_rules,
)
from crossdock.cli.management.policy_options import RULE_OPTIONS, policy_of, rules_of
from crossdock.cli.management.resource import with_options
from crossdock.cli.management.scopes import ScopeName, check_scope, scope_of
from crossdock.cli.shared.catalogue import CatalogueOption, catalogue_of
from crossdock.cli.shared.doors import doors_of
from crossdock.cli.shared.installation import DataDirOption, address, reached
from crossdock.cli.shared.management_client import open_management
from crossdock.cli.shared.options import MAX_HOURS, JsonOption, finite
from crossdock.cli.shared.output import show_json, show_rows
from crossdock_schemas.accounts.policy import Rules
from crossdock_schemas.pricing.worst_case import MAX_TOKENS

COLUMNS = ("project", "key", "model", "operation", "requests", "refused", "left", "excluded")


@with_options(RULE_OPTIONS)
def try_rules(
    ctx: typer.Context,
    scope: ScopeName,
    hours: Annotated[
        float,
        typer.Option(min=0.01, max=MAX_HOURS, callback=finite, help="The hours to look back."),
    ] = 24.0,
    catalogue: CatalogueOption = None,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
    **given: Any,
) -> None:
    """Show which past requests the given rules would have refused. Nothing changes.

    The rules replace the scope's policy; all other policies apply as they are. The table has the requests of the scope
    that have ended, also refused ones. Bodies are not recorded: for --max-tokens only longer answers are counted, and
    --no-tools, --filter and --filter-pattern are not judged.
    """
    rules = rules_of(given)
    found = reached(data_dir_)
    url = address(found, "CLICKHOUSE_URL", "past requests are in ClickHouse")
    offers = catalogue_of(catalogue, data_dir_, found["OPENAI_BASE_URL"])
    with open_management(ctx, data_dir_) as management:
        account, id_ = management.own_id(), scope_of(management, scope)
        check_scope(management, id_, account)
        present = [policy_of(entry) for entry in management.listed("policies")]
    most = rules.max_tokens or MAX_TOKENS
    past = bound_by(id_, doors_of(ctx).read_requests(url, account, hours, most))
    replayed = replay(past, offers, with_rules(present, account, id_, rules))
    if as_json:
        show_json({"scope": id_, "hours": hours} | _as_json(replayed, rules))
    else:
        _show(replayed, hours, rules)


def _as_json(replayed: Sequence[Replayed], rules: Rules) -> dict[str, Any]:
    total = total_of(replayed)
    return {
        "requests": total.requests,
        "refused": total.refused,
        "longer": total.longer,
        "not_judged": list(not_judged(rules)),
        "data": [
            {
                "project_id": one.past.project,
                "key_id": one.past.key_id,
                "model": one.past.model,
                "operation": one.past.operation,
                "requests": one.past.requests,
                "longer": one.past.longer,
                "refused": one.is_refused,
                **one.permission.model_dump(mode="json"),
            }
            for one in replayed
        ],
    }


def _show(replayed: Sequence[Replayed], hours: float, rules: Rules) -> None:
    if replayed:
        show_rows(COLUMNS, [_row(one) for one in replayed], folded="excluded")
    total = total_of(replayed)
    typer.echo(
        f"total: {total.refused} of {total.requests} requests of the last {hours:g} h would be refused"
    )
    if rules.max_tokens is not None:
        typer.echo(
            f"max_tokens: {total.longer} had answers of more than {rules.max_tokens} tokens and would have been refused "
            "or cut short; other requests may have asked for more tokens than they got"
        )
    if not_judged(rules):
        typer.echo(f"not judged, because bodies are not recorded: {', '.join(not_judged(rules))}")


def _row(one: Replayed) -> list[object]:
    past, permitted = one.past, list(one.permission.permitted)
    cells = [past.project, past.key_id, past.model, past.operation, past.requests]
    return [*cells, one.is_refused, permitted, why_excluded(one.permission) or None]
