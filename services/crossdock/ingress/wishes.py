"""Checks of what management asks for. Pure; a fault is raised as a `RefusedError`."""

import ipaddress
from collections.abc import Collection, Mapping
from datetime import datetime

from pydantic import ValidationError

from crossdock.ingress import refusals
from crossdock.ingress.checks import Json, check_metadata, require_text
from crossdock.ingress.refusals import RefusedError
from crossdock_schemas.account import MAX_NAME, Role
from crossdock_schemas.policy import Rules

MAX_NETWORKS = 100
RULES = ("allowed_models", "ignored_models", "allowed_providers", "ignored_providers", "max_price")
BUDGET_FIELDS = ("limit", "limit_reset", "include_byok_in_limit")
NO_BUDGETS = " Budgets are not there yet: a key without a limit is all that can be made."


def check_known(body: Mapping[str, object], known: Collection[str]) -> None:
    """Refuse a typo: a limit that is silently ignored costs money."""
    for name, value in body.items():
        if name in BUDGET_FIELDS and value in (None, False):
            continue
        if name not in known:
            hint = (
                NO_BUDGETS if name in BUDGET_FIELDS else f" Known are: {', '.join(sorted(known))}."
            )
            raise refusals.unknown_parameter(name, hint)


def check_name(body: Json, name: str = "name") -> str:
    text = require_text(body, name)
    if not 1 <= len(text) <= MAX_NAME:
        raise refusals.wrong_value(name, text, f"Expected 1 to {MAX_NAME} characters.")
    return text


def check_role(body: Json) -> Role | None:
    given = body.get("role")
    if given is None:
        return None
    try:
        return Role(given)
    except ValueError:
        known = ", ".join(repr(role.value) for role in Role)
        rule = f"Supported values are: {known}; none makes an inference key."
        raise refusals.wrong_value("role", given, rule) from None


def check_flag(body: Json, name: str) -> bool | None:
    given = body.get(name)
    if given is not None and not isinstance(given, bool):
        raise refusals.wrong_type(name, "a boolean", given)
    return given


def check_seconds(body: Json, name: str, *, default: int | None, highest: int) -> int | None:
    given = body.get(name)
    if given is None:
        return default
    if type(given) is not int:
        raise refusals.wrong_type(name, "an integer", given)
    if not 0 <= given <= highest:
        raise refusals.wrong_value(
            name, given, f"Expected a value from 0 to {highest}, in seconds."
        )
    return given


def check_time(body: Json, name: str) -> int | None:
    """Return the unix milliseconds of an ISO 8601 time with its offset, such as 2027-01-31T12:00:00Z."""
    given = body.get(name)
    if given is None:
        return None
    if not isinstance(given, str):
        raise refusals.wrong_type(name, "a string", given)
    try:
        at = datetime.fromisoformat(given)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise refusals.wrong_value(name, given, "Expected a time such as 2027-01-31T12:00:00Z.")
    return int(at.timestamp() * 1000)


def check_networks(body: Json, name: str = "allowed_ips") -> tuple[str, ...] | None:
    """Return networks in CIDR form; a single address is a network of one."""
    given = body.get(name)
    if given is None:
        return None
    if not isinstance(given, list) or len(given) > MAX_NETWORKS:
        raise refusals.wrong_type(name, f"an array of at most {MAX_NETWORKS} networks", given)
    return tuple(_network(name, text) for text in given)


def _network(name: str, text: object) -> str:
    try:
        return str(ipaddress.ip_network(text if isinstance(text, str) else "", strict=False))
    except ValueError:
        rule = "Expected an address or a network such as 10.1.0.0/16 or 2001:db8::/32."
        raise refusals.wrong_value(name, text, rule) from None


def check_tags(body: Json) -> dict[str, str] | None:
    try:
        return check_metadata(body.get("tags"))
    except RefusedError as error:
        message = str(error).replace("metadata", "tags")
        param = (error.param or "").replace("metadata", "tags")
        raise RefusedError(error.status, message, param=param, reason=error.reason) from None


def check_rules(body: Json) -> Rules:
    """Return a policy's rules; `max_price` is `{"prompt", "completion"}` in USD per million tokens."""
    check_known(body, RULES)
    prices = body.get("max_price") or {}
    if not isinstance(prices, dict):
        raise refusals.wrong_type("max_price", "an object", prices)
    check_known(prices, ("prompt", "completion"))
    lists = {name: body[name] for name in RULES if body.get(name) is not None}
    lists.pop("max_price", None)
    try:
        return Rules(
            **lists,
            max_prompt_price=prices.get("prompt"),
            max_completion_price=prices.get("completion"),
        )
    except ValidationError as error:
        detail = error.errors()[0]
        param = ".".join(map(str, detail["loc"])).replace("max_prompt_price", "max_price.prompt")
        param = param.replace("max_completion_price", "max_price.completion")
        raise refusals.wrong_value(param, detail["input"], f"{detail['msg']}.") from None
