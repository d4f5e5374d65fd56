"""Checks of what a policy shall demand. Pure; a fault is raised as a `RefusedError`."""

from pydantic import ValidationError

from crossdock.ingress.values import errors
from crossdock.ingress.values.checks import Json
from crossdock.ingress.values.management_bodies import check_flag, check_known
from crossdock.kernel.requests.content_filter import why_unsound
from crossdock_schemas.accounts.content_filter import BuiltinFilter, PatternFilter
from crossdock_schemas.accounts.policy import PRICES, Rules
from crossdock_schemas.message import Message

RULES = (*(name for name in Rules.model_fields if name not in PRICES.values()), "max_price")
FILTERS: dict[str, type[Message]] = {
    "content_filter_builtins": BuiltinFilter,
    "content_filters": PatternFilter,
}


def check_rules(body: Json) -> Rules:
    """Return a policy's rules; `max_price`: `prompt` and `completion` in USD per million tokens, `request` per call."""
    check_known(body, RULES)
    check_flag(body, "zdr")
    prices = {} if body.get("max_price") is None else body["max_price"]
    if not isinstance(prices, dict):
        raise errors.wrong_type("max_price", "an object", prices)
    check_known(prices, PRICES)
    _check_filters(body)
    lists = {name: body[name] for name in RULES if body.get(name) is not None}
    lists.pop("max_price", None)
    try:
        rules = Rules(
            **lists,
            **{PRICES[name]: price for name, price in prices.items() if price is not None},
        )
    except ValidationError as error:
        detail = error.errors()[0]
        param = ".".join(map(str, detail["loc"]))
        for name, of_rules in PRICES.items():
            param = param.replace(of_rules, f"max_price.{name}")
        raise errors.wrong_value(param, detail["input"], f"{detail['msg']}.") from None
    _check_patterns(rules)
    return rules


def _check_filters(body: Json) -> None:
    """Refuse a typo within a filter."""
    for name, kind in FILTERS.items():
        given = body.get(name)
        for one in given if isinstance(given, list) else ():
            if isinstance(one, dict):
                check_known(one, kind.model_fields)


def _check_patterns(rules: Rules) -> None:
    for number, one in enumerate(rules.content_filters):
        why = why_unsound(one.pattern)
        if why is not None:
            rule = f"It is no sound pattern in RE2's syntax: {why}."
            raise errors.wrong_value(f"content_filters.{number}.pattern", one.pattern, rule)
    slugs = [one.slug for one in rules.content_filter_builtins]
    if len(set(slugs)) < len(slugs):
        twice = next(slug.value for slug in slugs if slugs.count(slug) > 1)
        rule = "Each detector may be named once."
        raise errors.wrong_value("content_filter_builtins", twice, rule)
