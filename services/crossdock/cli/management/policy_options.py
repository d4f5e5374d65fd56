"""A policy's rules as options, as the API takes them, and as text. The types come from the fields of `Rules`."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

import typer
from pydantic import ValidationError

from crossdock.cli.shared.options import values_of
from crossdock.kernel.process.errors import ProcessError
from crossdock_schemas.accounts.content_filter import Builtin
from crossdock_schemas.accounts.policy import PRICES, Policy, Rules


class RuleOption(NamedTuple):
    """The option of a rule."""

    name: str
    help: str
    metavar: str | None = None


OPTIONS = {
    "allowed_models": RuleOption(
        "--allow-model",
        "Only such models; `*` stands for any text; may be repeated; '' alone: none.",
        "PATTERN",
    ),
    "ignored_models": RuleOption("--ignore-model", "No such models; may be repeated.", "PATTERN"),
    "allowed_providers": RuleOption(
        "--allow-provider", "Only such providers; may be repeated; '' alone: none.", "PATTERN"
    ),
    "ignored_providers": RuleOption(
        "--ignore-provider", "No such providers; may be repeated.", "PATTERN"
    ),
    "max_prompt_price": RuleOption(
        "--max-prompt-price", "USD per million input tokens at most.", "USD"
    ),
    "max_completion_price": RuleOption(
        "--max-completion-price", "USD per million output tokens at most.", "USD"
    ),
    "max_request_price": RuleOption(
        "--max-request-price", "USD per call at most, besides its tokens.", "USD"
    ),
    "data_collection": RuleOption("--no-training", "Nobody who may train on what it is sent."),
    "zdr": RuleOption("--zdr", "Nobody who may keep what it is sent."),
    "allowed_data_regions": RuleOption(
        "--allow-region", "Only providers there: global, europe, us; may be repeated.", "REGION"
    ),
    "quantizations": RuleOption(
        "--quantization",
        "Only this precision of a model's weights, such as fp8; may be repeated.",
        "NAME",
    ),
    "max_tokens": RuleOption("--max-tokens", "Output tokens of one answer at most.", "COUNT"),
    "tools": RuleOption("--no-tools", "No request may give the model tools to call."),
    "content_filter_builtins": RuleOption(
        "--filter",
        f"Where requests hold such data: flag, redact or block; may be repeated. {', '.join(Builtin)}.",
        "NAME=ACTION",
    ),
    "content_filters": RuleOption(
        "--filter-pattern",
        "The same for what a regular expression of your own matches (RE2's syntax); may be repeated.",
        "[LABEL:]ACTION=PATTERN",
    ),
}
"""By the rule's field."""
_GIVEN = {tuple: list[str] | None, Decimal: str | None, int: int | None, bool: bool, Literal: bool}
"""What the option of a rule takes, by the type of the rule's field; bool: it is a flag."""


def _type_of(rule: str) -> Any:
    """Return the type of a rule's field, one of `_GIVEN`."""
    found: Any = Rules.model_fields[rule].annotation
    while type(None) in get_args(found) or get_origin(found) is Annotated:
        found = next(part for part in get_args(found) if part is not NoneType)
    return get_origin(found) or found


TYPES = {rule: _type_of(rule) for rule in OPTIONS}
ALLOWED = tuple(
    rule
    for rule, field in Rules.model_fields.items()
    if TYPES[rule] is tuple and field.default is None
)
"""Lists that demand something when they are empty."""
RULE_OPTIONS = {
    rule: Annotated[
        _GIVEN[TYPES[rule]],
        typer.Option(option.name, help=option.help, metavar=option.metavar),
    ]
    for rule, option in OPTIONS.items()
}


def rules_of(given: Mapping[str, Any]) -> Rules:
    """Return the rules that options demand.

    An empty text alone allows nothing, and to ignore it is a mistake: a script's unset variable must open nothing.

    Raises:
        ProcessError: if nothing was said, or something that is no rule.
    """
    values = {rule: _value(rule, given[rule]) for rule in OPTIONS}
    demanded = {rule: value for rule, value in values.items() if value is not None}
    if not demanded:
        raise ProcessError(
            "no rule given: give at least one option, see --help; `crossdock policies clear` removes a policy"
        )
    try:
        return Rules.model_validate(demanded)
    except ValidationError as error:
        raise ProcessError("; ".join(_fault(one["loc"], one) for one in error.errors())) from None


def _value(rule: str, given: Any) -> object:
    """Return what a rule's option says, None if it was not given."""
    if rule in ALLOWED:
        return values_of(given)
    if rule in PARSERS:
        return [PARSERS[rule](text) for text in given or ()] or None
    if TYPES[rule] is Literal:
        return "deny" if given else None
    return given if TYPES[rule] in {int, Decimal} else given or None


def _builtin(text: str) -> dict[str, object]:
    """Read NAME=ACTION."""
    name, found, action = text.partition("=")
    if not found:
        raise ProcessError(f"--filter {text!r}: expected NAME=ACTION, such as email=redact")
    return {"slug": name, "action": action}


def _pattern(text: str) -> dict[str, object]:
    """Read [LABEL:]ACTION=PATTERN."""
    head, found, pattern = text.partition("=")
    label, _, action = head.rpartition(":")
    if not found:
        raise ProcessError(
            f"--filter-pattern {text!r}: expected [LABEL:]ACTION=PATTERN, such as staff:redact=E-[0-9]{{6}}"
        )
    return {"pattern": pattern, "action": action, "label": label or None}


PARSERS: Mapping[str, Callable[[str], object]] = {
    "content_filter_builtins": _builtin,
    "content_filters": _pattern,
}
"""How rules are read that are more than a text."""


def _fault(place: Sequence[int | str], error: Mapping[str, Any]) -> str:
    said = f" {error['input']!r}" if isinstance(error["input"], str | int) else ""
    return f"{OPTIONS[str(place[0])].name}{said}: {error['msg']}"


def body_of(rules: Rules) -> dict[str, object]:
    """Return what the API takes; what was not said is left out."""
    body = rules.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    prices = {
        short: f"{getattr(rules, rule):f}"
        for short, rule in PRICES.items()
        if body.pop(rule, None) is not None
    }
    return body | ({"max_price": prices} if prices else {})


def policy_of(entry: Mapping[str, Any]) -> Policy:
    """Return the policy that the API shows as `entry`."""
    shown = {rule: entry.get(rule) for rule in OPTIONS}
    shown |= {rule: entry["max_price"].get(short) for short, rule in PRICES.items()}
    return Policy(
        account=entry["organization_id"],
        scope=entry["scope"],
        rules=Rules.model_validate({n: value for n, value in shown.items() if value is not None}),
        version=entry["version"],
        updated_at_ms=round(datetime.fromisoformat(entry["updated_at"]).timestamp() * 1000),
    )


def rules_text(rules: Rules) -> str:
    """Return what is demanded, by the names that a refusal gives to the rules."""
    values = {rule: getattr(rules, rule) for rule in sorted(OPTIONS, key=_rank)}
    return "; ".join(
        rule if value is True else f"{rule}: {rule_text(rule, value)}"
        for rule, value in values.items()
        if value or (value is not None and (rule in ALLOWED or TYPES[rule] is Decimal))
    )


def _rank(rule: str) -> tuple[bool, int]:
    """Return the place of a rule in a text: lists, flags, numbers, prices, filters."""
    return rule in PARSERS, [tuple, bool, Literal, int, Decimal].index(TYPES[rule])


def rule_text(rule: str, value: Any) -> str:
    """Return a rule's value as its option says it."""
    match value:
        case () | []:
            return "nothing"
        case Decimal():
            return f"{value:f}"
        case tuple() if rule == "content_filters":
            return ", ".join(f"{one.label + ':' if one.label else ''}{one.action.value}={one.pattern}" for one in value)  # fmt: skip
        case tuple() if rule in PARSERS:
            return ", ".join(f"{one.slug.value}={one.action.value}" for one in value)
        case tuple():
            return ", ".join(value)
        case _:
            return str(value)
