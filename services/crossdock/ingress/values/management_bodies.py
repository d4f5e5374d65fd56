"""Checks of what management asks for. Pure; a fault is raised as a `RefusedError`."""

import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from crossdock.ingress.values import errors
from crossdock.ingress.values.checks import Json, check_metadata, require_text
from crossdock.ingress.values.errors import RefusedError
from crossdock_schemas.accounts.account import MAX_NAME, Role
from crossdock_schemas.accounts.budget import Limit
from crossdock_schemas.accounts.credit import BOOKED, MAX_REFERENCE, CreditKind
from crossdock_schemas.windows import Window

MAX_NETWORKS = 100
BUDGET_FIELDS = ("limit_usd", "include_byok", "overshoot_usd")
LIMIT_FIELDS = ("limit", "limit_reset", "include_byok_in_limit")
"""OpenRouter's names for what a key may spend."""
RESETS = (Window.DAILY, Window.WEEKLY, Window.MONTHLY)
USD = re.compile(r"[0-9]{1,14}(\.[0-9]{1,6})?")
SIGNED_USD = re.compile(rf"-?{USD.pattern}")


def check_known(body: Mapping[str, object], known: Collection[str]) -> None:
    """Refuse a typo: a limit that is silently ignored costs money."""
    for name in body:
        if name not in known:
            hint = f" Known are: {', '.join(sorted(known))}."
            raise errors.unknown_parameter(name, hint)


def check_name(body: Json, name: str = "name") -> str:
    text = require_text(body, name)
    if not 1 <= len(text) <= MAX_NAME:
        raise errors.wrong_value(name, text, f"Expected 1 to {MAX_NAME} characters.")
    return text


def check_reference(body: Json) -> str:
    """Return what makes asking twice the same as asking once."""
    text = require_text(body, "reference")
    if not 1 <= len(text) <= MAX_REFERENCE:
        rule = f"Expected 1 to {MAX_REFERENCE} characters."
        raise errors.wrong_value("reference", text, rule)
    return text


def check_note(body: Json) -> str | None:
    given = body.get("note")
    if given is None:
        return None
    text = require_text(body, "note")
    if len(text) > MAX_REFERENCE:
        raise errors.wrong_value("note", text, f"Expected {MAX_REFERENCE} characters at most.")
    return text


def check_credit_kind(body: Json) -> CreditKind:
    given = require_text(body, "kind")
    found = next((kind for kind in BOOKED if kind.value == given), None)
    if found is None:
        known = ", ".join(repr(kind.value) for kind in BOOKED)
        raise errors.wrong_value("kind", given, f"Supported values are: {known}.")
    return found


def check_role(body: Json) -> Role | None:
    given = body.get("role")
    if given is None:
        return None
    try:
        return Role(given)
    except ValueError:
        known = ", ".join(repr(role.value) for role in Role)
        rule = f"Supported values are: {known}; none makes an inference key."
        raise errors.wrong_value("role", given, rule) from None


def check_flag(body: Json, name: str) -> bool | None:
    given = body.get(name)
    if given is not None and not isinstance(given, bool):
        raise errors.wrong_type(name, "a boolean", given)
    return given


def check_seconds(body: Json, name: str, *, default: int | None, highest: int) -> int | None:
    given = body.get(name)
    if given is None:
        return default
    if type(given) is not int:
        raise errors.wrong_type(name, "an integer", given)
    if not 0 <= given <= highest:
        raise errors.wrong_value(name, given, f"Expected a value from 0 to {highest}, in seconds.")
    return given


def check_rate(body: Json, name: str, highest: int) -> int | None:
    """Return how many a minute are asked for; 0: as many as come. None: nothing is said."""
    given = body.get(name)
    if given is None:
        return None
    if type(given) is not int:
        raise errors.wrong_type(name, "an integer", given)
    if not 0 <= given <= highest:
        rule = f"Expected a number for a minute, from 1 to {highest}; 0 for no limit."
        raise errors.wrong_value(name, given, rule)
    return given


def check_time(body: Json, name: str) -> int | None:
    """Return the unix milliseconds of an ISO 8601 time with its offset, such as 2027-01-31T12:00:00Z."""
    given = body.get(name)
    if given is None:
        return None
    if not isinstance(given, str):
        raise errors.wrong_type(name, "a string", given)
    try:
        at = datetime.fromisoformat(given)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise errors.wrong_value(name, given, "Expected a time such as 2027-01-31T12:00:00Z.")
    return int(at.timestamp() * 1000)


def check_networks(body: Json, name: str = "allowed_ips") -> tuple[str, ...] | None:
    """Return networks in CIDR form; a single address is a network of one."""
    given = body.get(name)
    if given is None:
        return None
    if not isinstance(given, list) or len(given) > MAX_NETWORKS:
        raise errors.wrong_type(name, f"an array of at most {MAX_NETWORKS} networks", given)
    return tuple(_network(name, text) for text in given)


def _network(name: str, text: object) -> str:
    try:
        return str(ipaddress.ip_network(text if isinstance(text, str) else "", strict=False))
    except ValueError:
        rule = "Expected an address or a network such as 10.1.0.0/16 or 2001:db8::/32."
        raise errors.wrong_value(name, text, rule) from None


def check_tags(body: Json) -> dict[str, str] | None:
    try:
        return check_metadata(body.get("tags"))
    except RefusedError as error:
        message = str(error).replace("metadata", "tags")
        param = (error.param or "").replace("metadata", "tags")
        raise RefusedError(error.status, message, param=param, reason=error.reason) from None


def check_usd(body: Json, name: str) -> Decimal | None:
    """Return an amount, exactly as its number or text says it; None if it is null."""
    rule = "Expected USD such as 12.50: from 0 to below 10^14, with at most 6 decimal places."
    return _usd(body, name, USD, rule)


def check_signed_usd(body: Json, name: str) -> Decimal:
    """Return an amount, which may be below 0, exactly as its number or text says it."""
    rule = "Expected USD such as 12.50 or -12.50, with at most 14 and 6 digits."
    amount = _usd(body, name, SIGNED_USD, rule)
    if amount is None:
        raise errors.missing(name)
    return amount


def _usd(body: Json, name: str, form: re.Pattern[str], rule: str) -> Decimal | None:
    given = body.get(name)
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        raise errors.wrong_type(name, "a number or a string", given)
    text = given if isinstance(given, str) else f"{Decimal(str(given)):f}"
    if not form.fullmatch(text):
        raise errors.wrong_value(name, given, rule)
    return Decimal(text)


def check_budget(body: Json, window: Window) -> Limit:
    """Return what the body of a budget asks for in `window`."""
    check_known(body, BUDGET_FIELDS)
    amount = check_usd(body, "limit_usd")
    if amount is None:
        raise errors.missing("limit_usd")
    return Limit(
        window=window,
        limit_usd=amount,
        include_byok=check_flag(body, "include_byok") or False,
        overshoot_usd=check_usd(body, "overshoot_usd") or Decimal(0),
    )


def check_window_name(text: str) -> Window:
    try:
        return Window(text)
    except ValueError:
        raise _no_window("window", text, Window) from None


def check_limit(body: Json, present: Limit | None = None) -> Limit | None:
    """Return the limit that a key with the limit `present` shall have; None: none.

    What `body` does not say stays as it is. An amount alone keeps the window, a window alone keeps the amount.
    """
    window, byok = _check_reset(body), check_flag(body, "include_byok_in_limit")
    if "limit" not in body:
        usd = None if present is None else present.limit_usd
    else:
        usd = check_usd(body, "limit")
    if usd is None:
        if window not in {None, Window.TOTAL}:
            rule = "There is no limit to reset: give `limit` too."
            raise errors.wrong_value("limit_reset", body["limit_reset"], rule)
        if byok:
            rule = "There is no limit that could include them: give `limit` too."
            raise errors.wrong_value("include_byok_in_limit", True, rule)
        return None
    usual = present or Limit(limit_usd=usd)
    is_included = usual.include_byok if byok is None else byok
    return usual.model_copy(
        update={
            "window": window or usual.window,
            "limit_usd": usd,
            "include_byok": is_included,
        }
    )


def _check_reset(body: Json) -> Window | None:
    """Return the window that `limit_reset` names, null being the endless one; None if it is not there."""
    if "limit_reset" not in body:
        return None
    given = body["limit_reset"]
    if given is None:
        return Window.TOTAL
    if given not in RESETS:
        raise _no_window("limit_reset", given, RESETS, " Null: never.")
    return Window(given)


def _no_window(name: str, given: object, known: Iterable[Window], more: str = "") -> RefusedError:
    supported = ", ".join(repr(window.value) for window in known)
    return errors.wrong_value(name, given, f"Supported values are: {supported}.{more}")
