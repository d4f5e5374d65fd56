"""crossdock policies test: tries rules on the requests of the past."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from crossdock.cli.display import show_json, show_rows
from crossdock.cli.foresight import (
    Asked,
    Foreseen,
    bound_by,
    foresee,
    total_of,
    why_excluded,
    with_rules,
)
from crossdock.cli.management import open_management
from crossdock.cli.offers import CatalogueOption, catalogue_of
from crossdock.cli.options import JsonOption
from crossdock.cli.rules import (
    AllowedModels,
    AllowedProviders,
    AllowedRegions,
    IgnoredModels,
    IgnoredProviders,
    MaxCompletionPrice,
    MaxPromptPrice,
    MaxRequestPrice,
    NoTraining,
    Quantizations,
    ZeroRetention,
    policy_of,
    rules_of,
)
from crossdock.cli.scopes import ScopeName, check_scope, own, scope_of
from crossdock.cli.where import DataDirOption, address, reached

ReadAsked = Callable[[str, str, float], Sequence[Asked]]
"""From ClickHouse's address, an account, and how many hours to look back."""

COLUMNS = ("project", "key", "model", "operation", "requests", "refused", "left", "excluded")
MAX_HOURS = 87_600  # ten years; ClickHouse counts the seconds in 32 bits
_ASKED = """
SELECT account, project, key_id, model, operation, count() FROM crossdock.requests FINAL
WHERE account = {account:String} AND accepted_at > now() - toIntervalSecond({span:UInt32})
GROUP BY account, project, key_id, model, operation
"""


def try_rules(
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
    hours: Annotated[
        float, typer.Option(min=0.01, max=MAX_HOURS, help="How far to look back.")
    ] = 24.0,
    catalogue: CatalogueOption = None,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Show which requests of the last hours the given rules would have refused. Nothing is changed.

    The rules stand in the place of the scope's present policy, beside all other present ones. Shown are the scope's
    own requests that have ended, refused ones too.
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
    )
    found = reached(data_dir_)
    url = address(found, "CLICKHOUSE_URL", "the requests lie in ClickHouse")
    offers = catalogue_of(catalogue, data_dir_, found["OPENAI_BASE_URL"])
    with open_management(ctx, data_dir_) as management:
        account, id_ = own(management), scope_of(management, scope)
        check_scope(management, id_, account)
        present = [policy_of(entry) for entry in management.listed("policies")]
    asked = bound_by(id_, (ctx.obj.read_asked or read_asked)(url, account, hours))
    foreseen = foresee(asked, offers, with_rules(present, account, id_, rules))
    if as_json:
        show_json({"scope": id_, "hours": hours} | _as_json(foreseen))
    else:
        _show(foreseen, hours)


def read_asked(url: str, account: str, hours: float) -> list[Asked]:
    """Read from ClickHouse what an account asked for.

    Raises:
        TableError: if ClickHouse does not answer.
    """
    return asyncio.run(_read(url, {"account": account, "span": round(hours * 3600)}))


async def _read(url: str, parameters: dict[str, Any]) -> list[Asked]:
    from crossdock.kernel.clickhouse import open_tables

    async with open_tables(url) as tables:
        return [Asked(*row) for row in await tables.query(_ASKED, parameters)]


def _as_json(foreseen: Sequence[Foreseen]) -> dict[str, Any]:
    total = total_of(foreseen)
    return {
        "requests": total.requests,
        "refused": total.refused,
        "data": [
            {
                "project_id": one.asked.project,
                "key_id": one.asked.key_id,
                "model": one.asked.model,
                "operation": one.asked.operation,
                "requests": one.asked.requests,
                "refused": one.is_refused,
                **one.permission.model_dump(mode="json"),
            }
            for one in foreseen
        ],
    }


def _show(foreseen: Sequence[Foreseen], hours: float) -> None:
    if foreseen:
        show_rows(COLUMNS, [_row(one) for one in foreseen], folded="excluded")
    total = total_of(foreseen)
    typer.echo(
        f"total: {total.refused} of {total.requests} requests of the last {hours:g} h would be refused"
    )


def _row(one: Foreseen) -> list[object]:
    asked, permitted = one.asked, list(one.permission.permitted)
    wish = [asked.project, asked.key_id, asked.model, asked.operation, asked.requests]
    return [*wish, one.is_refused, permitted, why_excluded(one.permission) or None]
