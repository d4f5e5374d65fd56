"""A policy's rules: as options say them, as the API takes them, as it shows them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from crossdock.cli.shared.options import values_of
from crossdock.kernel.process.errors import ProcessError
from crossdock_schemas.accounts.content_filter import Builtin
from crossdock_schemas.accounts.policy import PRICES, Policy, Rules

OPTIONS = {
    "allowed_models": "--allow-model",
    "ignored_models": "--ignore-model",
    "allowed_providers": "--allow-provider",
    "ignored_providers": "--ignore-provider",
    "max_prompt_price": "--max-prompt-price",
    "max_completion_price": "--max-completion-price",
    "max_request_price": "--max-request-price",
    "data_collection": "--no-training",
    "zdr": "--zdr",
    "allowed_data_regions": "--allow-region",
    "quantizations": "--quantization",
    "max_tokens": "--max-tokens",
    "tools": "--no-tools",
    "content_filter_builtins": "--filter",
    "content_filters": "--filter-pattern",
}
LISTS = (
    "allowed_models",
    "ignored_models",
    "allowed_providers",
    "ignored_providers",
    "allowed_data_regions",
    "quantizations",
)
ALLOWED = ("allowed_models", "allowed_providers", "allowed_data_regions", "quantizations")
"""Of the lists, those that demand something when they are empty."""
FLAGS = ("data_collection", "zdr", "tools")
NUMBERS = ("max_tokens",)
FILTERS = ("content_filter_builtins", "content_filters")

AllowedModels = Annotated[
    list[str] | None,
    typer.Option(
        OPTIONS["allowed_models"],
        help="Only such models; `*` stands for any text; may be repeated; '' alone: none.",
        metavar="PATTERN",
    ),
]
IgnoredModels = Annotated[
    list[str] | None,
    typer.Option(
        OPTIONS["ignored_models"], help="No such models; may be repeated.", metavar="PATTERN"
    ),
]
AllowedProviders = Annotated[
    list[str] | None,
    typer.Option(
        OPTIONS["allowed_providers"],
        help="Only such providers; may be repeated; '' alone: none.",
        metavar="PATTERN",
    ),
]
IgnoredProviders = Annotated[
    list[str] | None,
    typer.Option(
        OPTIONS["ignored_providers"], help="No such providers; may be repeated.", metavar="PATTERN"
    ),
]
MaxPromptPrice = Annotated[
    str | None,
    typer.Option(
        OPTIONS["max_prompt_price"], help="USD per million input tokens at most.", metavar="USD"
    ),
]
MaxCompletionPrice = Annotated[
    str | None,
    typer.Option(
        OPTIONS["max_completion_price"],
        help="USD per million output tokens at most.",
        metavar="USD",
    ),
]
MaxRequestPrice = Annotated[
    str | None,
    typer.Option(
        OPTIONS["max_request_price"],
        help="USD per call at most, besides its tokens.",
        metavar="USD",
    ),
]
NoTraining = Annotated[
    bool,
    typer.Option(OPTIONS["data_collection"], help="Nobody who may train on what it is sent."),
]
ZeroRetention = Annotated[
    bool, typer.Option(OPTIONS["zdr"], help="Nobody who may keep what it is sent.")
]
AllowedRegions = Annotated[
    list[str] | None,
    typer.Option(
        OPTIONS["allowed_data_regions"],
        help="Only providers there: global, europe, us; may be repeated.",
        metavar="REGION",
    ),
]
Quantizations = Annotated[
    list[str] | None,
    typer.Option(
        OPTIONS["quantizations"],
        help="Only this precision of a model's weights, such as fp8; may be repeated.",
        metavar="NAME",
    ),
]

MaxTokens = Annotated[
    int | None,
    typer.Option(
        OPTIONS["max_tokens"], help="Output tokens of one answer at most.", metavar="COUNT"
    ),
]
NoTools = Annotated[
    bool,
    typer.Option(OPTIONS["tools"], help="No request may give the model tools to call."),
]

Filters = Annotated[
    list[str] | None,
    typer.Option(
        OPTIONS["content_filter_builtins"],
        help=f"Where requests hold such data: flag, redact or block; may be repeated. {', '.join(Builtin)}.",
        metavar="NAME=ACTION",
    ),
]
FilterPatterns = Annotated[
    list[str] | None,
    typer.Option(
        OPTIONS["content_filters"],
        help="The same for what a regular expression of your own matches (RE2's syntax); may be repeated.",
        metavar="[LABEL:]ACTION=PATTERN",
    ),
]


def rules_of(
    *,
    allowed_models: Sequence[str] | None = None,
    ignored_models: Sequence[str] | None = None,
    allowed_providers: Sequence[str] | None = None,
    ignored_providers: Sequence[str] | None = None,
    max_prompt_price: str | None = None,
    max_completion_price: str | None = None,
    max_request_price: str | None = None,
    no_training: bool = False,
    zdr: bool = False,
    allowed_data_regions: Sequence[str] | None = None,
    quantizations: Sequence[str] | None = None,
    max_tokens: int | None = None,
    no_tools: bool = False,
    filters: Sequence[str] | None = None,
    filter_patterns: Sequence[str] | None = None,
) -> Rules:
    """Return what options demand.

    An empty text alone allows nothing, and to ignore it is a mistake: a script's unset variable must open nothing.

    Raises:
        ProcessError: if nothing was said, or something that is no rule.
    """
    said = {
        "allowed_models": values_of(allowed_models),
        "ignored_models": ignored_models or None,
        "allowed_providers": values_of(allowed_providers),
        "ignored_providers": ignored_providers or None,
        "max_prompt_price": max_prompt_price,
        "max_completion_price": max_completion_price,
        "max_request_price": max_request_price,
        "data_collection": "deny" if no_training else None,
        "zdr": zdr or None,
        "allowed_data_regions": values_of(allowed_data_regions),
        "quantizations": values_of(quantizations),
        "max_tokens": max_tokens,
        "tools": "deny" if no_tools else None,
        "content_filter_builtins": [_builtin(text) for text in filters or ()] or None,
        "content_filters": [_own(text) for text in filter_patterns or ()] or None,
    }
    given = {name: value for name, value in said.items() if value is not None}
    if not given:
        raise ProcessError(
            "no rule given: give at least one option, see --help; `crossdock policies clear` removes a policy"
        )
    try:
        return Rules.model_validate(given)
    except ValidationError as error:
        raise ProcessError("; ".join(_fault(one["loc"], one) for one in error.errors())) from None


def _builtin(text: str) -> dict[str, object]:
    """Read NAME=ACTION."""
    name, found, action = text.partition("=")
    if not found:
        raise ProcessError(f"--filter {text!r}: expected NAME=ACTION, such as email=redact")
    return {"slug": name, "action": action}


def _own(text: str) -> dict[str, object]:
    """Read [LABEL:]ACTION=PATTERN."""
    head, found, pattern = text.partition("=")
    label, _, action = head.rpartition(":")
    if not found:
        raise ProcessError(
            f"--filter-pattern {text!r}: expected [LABEL:]ACTION=PATTERN, such as staff:redact=E-[0-9]{{6}}"
        )
    return {"pattern": pattern, "action": action, "label": label or None}


def _fault(place: Sequence[int | str], error: Mapping[str, Any]) -> str:
    said = f" {error['input']!r}" if isinstance(error["input"], str | int) else ""
    return f"{OPTIONS[str(place[0])]}{said}: {error['msg']}"


def body_of(rules: Rules) -> dict[str, object]:
    """Return what the API takes; what was not said is left out."""
    body: dict[str, object] = {
        name: list(getattr(rules, name)) for name in LISTS if name in rules.model_fields_set
    }
    body |= {name: getattr(rules, name) for name in (*FLAGS, *NUMBERS) if getattr(rules, name)}
    filters = {name: getattr(rules, name) for name in FILTERS}
    body |= {
        name: [one.model_dump(mode="json", exclude_none=True) for one in given]
        for name, given in filters.items()
        if given
    }
    prices = {short: getattr(rules, name) for short, name in PRICES.items()}
    told = {short: f"{price:f}" for short, price in prices.items() if price is not None}
    return body | ({"max_price": told} if told else {})


def policy_of(entry: Mapping[str, Any]) -> Policy:
    """Return the policy that the API shows as `entry`."""
    shown = {name: entry[name] for name in (*LISTS, *FLAGS, *NUMBERS, *FILTERS)}
    shown |= {name: entry["max_price"].get(short) for short, name in PRICES.items()}
    return Policy(
        account=entry["organization_id"],
        scope=entry["scope"],
        rules=Rules.model_validate({n: value for n, value in shown.items() if value is not None}),
        version=entry["version"],
        updated_at_ms=round(datetime.fromisoformat(entry["updated_at"]).timestamp() * 1000),
    )


def rules_text(rules: Rules) -> str:
    """Say what is demanded, by the names that a refusal gives to the rules."""
    lists = {name: getattr(rules, name) for name in LISTS}
    parts = [
        f"{name}: {', '.join(patterns) or 'nothing'}"
        for name, patterns in lists.items()
        if patterns or (patterns is not None and name in ALLOWED)
    ]
    parts += [name if name == "zdr" else f"{name}: deny" for name in FLAGS if getattr(rules, name)]
    numbers = {name: getattr(rules, name) for name in NUMBERS}
    parts += [f"{name}: {number}" for name, number in numbers.items() if number is not None]
    prices = {name: getattr(rules, name) for name in PRICES.values()}
    parts += [f"{name}: {price:f}" for name, price in prices.items() if price is not None]
    parts += [f"{name}: {text}" for name, text in filters_text(rules).items() if text]
    return "; ".join(parts)


def filters_text(rules: Rules) -> dict[str, str]:
    """Say what is looked for in requests, as options say it, by the rules' names."""
    own = [
        f"{one.name}:{one.action.value}={one.pattern}"
        if one.label
        else f"{one.action.value}={one.pattern}"
        for one in rules.content_filters
    ]
    builtins = [f"{one.slug.value}={one.action.value}" for one in rules.content_filter_builtins]
    return {"content_filter_builtins": ", ".join(builtins), "content_filters": ", ".join(own)}
