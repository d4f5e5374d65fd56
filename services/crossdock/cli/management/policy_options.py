"""A policy's rules as options, as the API takes them, and as text. The types come from the fields of `Rules`."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from pydantic import ValidationError

from crossdock.cli.management.resource import OptionSpec
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
        "Allow only these models; `*` matches any text; may be repeated; '' alone: none.",
        "PATTERN",
    ),
    "ignored_models": RuleOption(
        "--ignore-model", "Exclude these models; may be repeated.", "PATTERN"
    ),
    "allowed_providers": RuleOption(
        "--allow-provider",
        "Allow only these providers; may be repeated; '' alone: none.",
        "PATTERN",
    ),
    "ignored_providers": RuleOption(
        "--ignore-provider", "Exclude these providers; may be repeated.", "PATTERN"
    ),
    "max_prompt_price": RuleOption(
        "--max-prompt-price", "The highest price per million input tokens.", "USD"
    ),
    "max_completion_price": RuleOption(
        "--max-completion-price", "The highest price per million output tokens.", "USD"
    ),
    "max_request_price": RuleOption(
        "--max-request-price", "The highest price per call, besides its tokens.", "USD"
    ),
    "data_collection": RuleOption("--no-training", "Exclude providers that may train on requests."),
    "zdr": RuleOption("--zdr", "Exclude providers that may retain requests."),
    "allowed_data_regions": RuleOption(
        "--allow-region",
        "Allow only providers in this region: global, europe, us; may be repeated.",
        "REGION",
    ),
    "quantizations": RuleOption(
        "--quantization",
        "Allow only this precision of a model's weights, such as fp8; may be repeated.",
        "NAME",
    ),
    "max_tokens": RuleOption(
        "--max-tokens", "The most output tokens that a request may ask for.", "COUNT"
    ),
    "tools": RuleOption("--no-tools", "Refuse requests with tools."),
    "content_filter_builtins": RuleOption(
        "--filter",
        "Act on personal data in requests: flag, redact or block; may be repeated. "
        f"NAME is one of {', '.join(Builtin)}.",
        "NAME=ACTION",
    ),
    "content_filters": RuleOption(
        "--filter-pattern",
        "Act on matches of a regular expression (RE2); may be repeated.",
        "[LABEL:]ACTION=PATTERN",
    ),
}
"""By the rule's field."""
_GIVEN = {tuple: list[str] | None, Decimal: str | None, int: int | None, bool: bool, Literal: bool}
"""The type of an option's value, by the type of the rule's field; bool: the option is a flag."""


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
"""Lists that exclude everything when they are empty."""
RULE_OPTIONS = {rule: OptionSpec(_GIVEN[TYPES[rule]], *option) for rule, option in OPTIONS.items()}


def rules_of(given: Mapping[str, Any]) -> Rules:
    """Return the rules of the options.

    An empty text alone allows nothing, so a script's unset variable does not lift a rule.

    Raises:
        ProcessError: if no option is given, or one is invalid.
    """
    values = {rule: _value(rule, given[rule]) for rule in OPTIONS}
    demanded = {rule: value for rule, value in values.items() if value is not None}
    if not demanded:
        raise ProcessError(
            "no rule given: pass at least one option, see --help; `crossdock policies clear` removes a policy"
        )
    try:
        return Rules.model_validate(demanded)
    except ValidationError as error:
        raise ProcessError("; ".join(_fault(one["loc"], one) for one in error.errors())) from None


def _value(rule: str, given: Any) -> object:
    """Return the rule's value, None if its option is not given."""
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
        raise ProcessError(f"invalid --filter {text!r}: use NAME=ACTION, such as email=redact")
    return {"slug": name, "action": action}


def _pattern(text: str) -> dict[str, object]:
    """Read [LABEL:]ACTION=PATTERN."""
    head, found, pattern = text.partition("=")
    label, _, action = head.rpartition(":")
    if not found:
        raise ProcessError(
            f"invalid --filter-pattern {text!r}: use [LABEL:]ACTION=PATTERN, such as staff:redact=E-[0-9]{{6}}"
        )
    return {"pattern": pattern, "action": action, "label": label or None}


PARSERS: Mapping[str, Callable[[str], object]] = {
    "content_filter_builtins": _builtin,
    "content_filters": _pattern,
}
"""The functions that read the options of filters."""


def _fault(place: Sequence[int | str], error: Mapping[str, Any]) -> str:
    value = f" {error['input']!r}" if isinstance(error["input"], str | int) else ""
    return f"invalid {OPTIONS[str(place[0])].name}{value}: {error['msg']}"


def body_of(rules: Rules) -> dict[str, object]:
    """Return the rules as the API takes them; rules that are not set are left out."""
    body = rules.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    prices = {
        short: f"{getattr(rules, rule):f}"
        for short, rule in PRICES.items()
        if body.pop(rule, None) is not None
    }
    return body | ({"max_price": prices} if prices else {})


def lifted_by(names: Sequence[str]) -> list[str]:
    """Return the rules whose options have these names.

    Raises:
        ProcessError: if there is no such option.
    """
    rules = {option.name.removeprefix("--"): rule for rule, option in OPTIONS.items()}
    for name in names:
        if name.removeprefix("--") not in rules:
            raise ProcessError(f"invalid --lift {name!r}: use one of {', '.join(rules)}")
    return [rules[name.removeprefix("--")] for name in names]


def with_lifted(body: Mapping[str, Any], lifted: Sequence[str]) -> dict[str, object]:
    """Return `body` with a null for each rule that is lifted."""
    changed = dict(body)
    for rule in lifted:
        short = next((short for short, name in PRICES.items() if name == rule), None)
        if short is None:
            changed[rule] = None
        else:
            changed["max_price"] = {**changed.get("max_price", {}), short: None}
    return changed


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
    """Return the rules as a text, with the names that a refusal uses."""
    values = {rule: getattr(rules, rule) for rule in sorted(OPTIONS, key=_rank)}
    return "; ".join(
        rule if value is True else f"{rule}: {rule_text(rule, value)}"
        for rule, value in values.items()
        if value or (value is not None and (rule in ALLOWED or TYPES[rule] is Decimal))
    )


def _rank(rule: str) -> tuple[bool, int]:
    """Order rules: lists, flags, numbers, prices, filters."""
    return rule in PARSERS, [tuple, bool, Literal, int, Decimal].index(TYPES[rule])


def rule_text(rule: str, value: Any) -> str:
    """Return a rule's value as its option takes it."""
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
