"""Checks the fields of a body, after its preparation: one code for single requests and for lines of batches. Pure.

Each field that can change what a call costs or keeps is of its one type, or the request is refused. Unknown
fields are named, and the accounts shard decides about them: it knows the budgets. By hand, for speed.
"""

from collections.abc import Callable, Mapping
from typing import Any

from crossdock_schemas.accounts.attribution import (
    MAX_TAG_NAME,
    MAX_TAG_VALUE,
    MAX_TAGS,
    MAX_USER,
    USER_FIELDS,
)
from crossdock_schemas.operations import CHAT, EMBEDDINGS
from crossdock_schemas.pricing.field_types import SHOWN, Anything, Unsound, wrong_type, wrong_value
from crossdock_schemas.pricing.parameters import (
    CACHE_CONTROL,
    LOOKALIKES,
    PARAMETERS,
    folded,
)
from crossdock_schemas.pricing.worst_case import OUTPUT_LIMITS

MAX_UNKNOWN = 8  # fields that an envelope names
MAX_UNKNOWN_NAME = 64  # characters of such a name
Fields = tuple[str, ...]
Check = Callable[[str, Any], Unsound | None]
_UNKNOWN: Check = Anything().fault
_OTHERWISE = frozenset(
    {"model", "messages", "input", "metadata", "provider", "models", *USER_FIELDS}
)
"""Fields that are checked by other functions."""
_CHECKS: Mapping[str, Mapping[str, Check | None]] = {
    operation: {name: None if name in _OTHERWISE else one.type.fault for name, one in known.items()}
    for operation, known in PARAMETERS.items()
}
_TEXT_ONLY = 2  # keys of the usual part of a message


def check_body(body: Mapping[str, Any], operation: str) -> Fields | Unsound:
    """Return the names of the fields of `body` that are unknown, or its first fault."""
    found = _CHECK_REQUIRED[operation](body) or metadata_fault(body.get("metadata"))
    return found or _user_fault(body) or check_fields(body, operation)


def check_fields(body: Mapping[str, Any], operation: str) -> Fields | Unsound:
    """Return the same for the parameters in `body`, which need not be whole."""
    checks = _CHECKS[operation]
    unknown: list[str] = []
    for name, value in body.items():
        if value is None:
            continue
        check = checks.get(name, _UNKNOWN)
        if check is None:
            continue
        if check is _UNKNOWN:
            unknown.append(name)
            continue
        fault = check(name, value)
        if fault is not None:
            return fault
    return _limits_fault(body) or (_unknown(unknown, body, operation) if unknown else ())


def _limits_fault(body: Mapping[str, Any]) -> Unsound | None:
    """Refuse two limits of an answer: one provider obeys the one, another one the other."""
    first, second = OUTPUT_LIMITS
    if body.get(first) is None or body.get(second) is None:
        return None
    message = f"'{first}' and '{second}' cannot be used together. Use '{second}'."
    return Unsound("invalid_value", message, first)


def _unknown(names: list[str], body: Mapping[str, Any], operation: str) -> Fields | Unsound:
    alike = LOOKALIKES[operation]
    for name in names:
        meant = alike.get(folded(name))
        if meant is not None:
            message = f"Unknown parameter: {name[:SHOWN]!r}. Did you mean '{meant}'?"
            return Unsound("unknown_parameter", message, name[:SHOWN])
        fault = _UNKNOWN(name[:SHOWN], body[name])
        if fault is not None:
            return fault
    return tuple([name[:MAX_UNKNOWN_NAME] for name in names[:MAX_UNKNOWN]])


def _missing(param: str) -> Unsound:
    return Unsound("missing_required_parameter", f"Missing required parameter: '{param}'.", param)


def _messages_fault(body: Mapping[str, Any]) -> Unsound | None:
    messages = body.get("messages")
    if messages is None:
        return _missing("messages")
    if not isinstance(messages, list):
        return wrong_type("messages", "an array of objects", messages)
    if not messages:
        rule = "Expected an array with at least one message."
        return wrong_value("messages", messages, rule)
    for number, message in enumerate(messages):
        if not isinstance(message, dict):
            return wrong_type(f"messages[{number}]", "an object", message)
        content = message.get("content")
        if type(content) is list:
            fault = _parts_fault(content, number)
            if fault is not None:
                return fault
    return None


def _parts_fault(parts: list[Any], number: int) -> Unsound | None:
    """Check the cache marks of a message's parts: they have a price."""
    for place, part in enumerate(parts):
        if isinstance(part, dict) and len(part) > _TEXT_ONLY:
            control = part.get("cache_control")
            where = f"messages[{number}].content[{place}].cache_control"
            fault = None if control is None else CACHE_CONTROL.fault(where, control)
            if fault is not None:
                return fault
    return None


def _input_fault(body: Mapping[str, Any]) -> Unsound | None:
    given = body.get("input")
    if given is None:
        return _missing("input")
    if not isinstance(given, str | list):
        return wrong_type("input", "a string or an array", given)
    if not given:
        return wrong_value("input", given, "Expected something to embed.")
    return None if isinstance(given, str) else _entries_fault(given)


def _entries_fault(given: list[Any]) -> Unsound | None:
    """Check that an array is of texts, of tokens, or of arrays of tokens. An object stands for a medium of any size."""
    kind = type(given[0])
    if kind is list:
        for number, tokens in enumerate(given):
            if type(tokens) is not list or not _are(tokens, int):
                return wrong_type(f"input[{number}]", "an array of integers", tokens)
        return None
    if kind not in {str, int}:
        return wrong_type("input[0]", "a string, an integer or an array of integers", given[0])
    if _are(given, kind):
        return None
    wanted = "a string" if kind is str else "an integer"
    number, other = next((n, one) for n, one in enumerate(given) if type(one) is not kind)
    return wrong_type(f"input[{number}]", wanted, other)


def _are(values: list[Any], kind: type) -> bool:
    return set(map(type, values)) <= {kind}


_CHECK_REQUIRED: Mapping[str, Callable[[Mapping[str, Any]], Unsound | None]] = {
    CHAT.path: _messages_fault,
    EMBEDDINGS.path: _input_fault,
}


def _user_fault(body: Mapping[str, Any]) -> Unsound | None:
    for name in USER_FIELDS:
        user = body.get(name)
        if user is None:
            continue
        if not isinstance(user, str):
            return wrong_type(name, "a string", user)
        if len(user) > MAX_USER:
            return too_long(name, "a string", MAX_USER, len(user))
    return None


def metadata_fault(metadata: object) -> Unsound | None:
    """Return why pairs of metadata are invalid."""
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        return wrong_type("metadata", "an object", metadata)
    if len(metadata) > MAX_TAGS:
        message = (
            f"Invalid 'metadata': too many properties. Expected an object with at most {MAX_TAGS} properties, "
            f"but got an object with {len(metadata)} properties instead."
        )
        return Unsound("object_above_max_properties", message, "metadata")
    found = (_pair_fault(key, value) for key, value in metadata.items())
    return next((one for one in found if one is not None), None)


def _pair_fault(key: str, value: object) -> Unsound | None:
    if not isinstance(value, str):
        return wrong_type(f"metadata.{key[:MAX_TAG_NAME]}", "a string", value)
    if len(key) > MAX_TAG_NAME:
        return too_long("metadata", "a property name", MAX_TAG_NAME, len(key))
    if len(value) > MAX_TAG_VALUE:
        return too_long(f"metadata.{key}", "a string", MAX_TAG_VALUE, len(value))
    return None


def too_long(param: str, what: str, limit: int, got: int) -> Unsound:
    message = (
        f"Invalid '{param}': string too long. Expected {what} with maximum length {limit}, "
        f"but got one with length {got} instead."
    )
    return Unsound("string_above_max_length", message, param)
