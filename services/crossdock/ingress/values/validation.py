"""The one translator of pydantic's errors into OpenAI's envelope: status, code, `param` and message. Pure."""

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json

from crossdock.ingress.values import errors
from crossdock.ingress.values.errors import RefusedError
from crossdock.kernel.requests.json_values import MAX_VALUES, has_too_many_values

M = TypeVar("M", bound=BaseModel)
Json = dict[str, Any]
TYPES: Mapping[str, str] = {
    "string_type": "a string",
    "int_type": "an integer",
    "bool_type": "a boolean",
    "usd_type": "a number or a string",
    "list_type": "an array",
    "tuple_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "key_type": "a string or an object",
}
"""By pydantic's name of the error: the JSON type that the field has."""
CHOICES = frozenset({"enum", "literal_error"})
RULES: Mapping[str, str] = {
    "string_too_short": "Expected {min_length} or more characters.",
    "string_too_long": "Expected at most {max_length} characters.",
    "too_short": "Expected {min_length} or more entries.",
    "too_long": "Expected at most {max_length} entries.",
    "greater_than_equal": "Expected at least {ge}.",
    "less_than_equal": "Expected at most {le}.",
    "string_pattern_mismatch": "Expected a text that matches {pattern}.",
}


def parse_object(raw: bytes) -> Json:
    """Return the JSON object in `raw`.

    Raises:
        RefusedError: if it is something else, or holds too many values.
    """
    if has_too_many_values(raw):
        raise errors.too_many_values(MAX_VALUES)
    try:
        body = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise errors.bad_json(str(error)) from None
    if not isinstance(body, dict):
        raise errors.bad_json("expected an object")
    return body


def read_model(kind: type[M], given: Mapping[str, Any]) -> M:
    """Return the model of `given`, a body or a query.

    Raises:
        RefusedError: 400 for the first field that is not sound.
    """
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise refusal_of(error) from None


def read_value(kind: type[Any], given: object, param: str) -> Any:
    """Return one value, such as a part of a path.

    Raises:
        RefusedError: 400 if it is not sound.
    """
    try:
        return TypeAdapter(kind).validate_python(given)
    except ValidationError as error:
        raise refusal_of(error, param) from None


def refusal_of(error: ValidationError, within: str = "") -> RefusedError:
    """Return the refusal of the first fault; `within`: the field that was checked."""
    detail = error.errors(include_url=False)[0]
    context = detail.get("ctx", {})
    steps = (within, *map(str, detail["loc"]), str(context.get("field", "")))
    param = ".".join(step for step in steps if step)
    return _refusal(param, detail, context)


def _refusal(param: str, detail: ErrorDetails, context: Mapping[str, Any]) -> RefusedError:
    kind, got = detail["type"], detail["input"]
    is_null = got is None and "." not in param and (kind in TYPES or kind in CHOICES)
    if kind == "missing" or is_null:
        return errors.missing(param)
    if kind == "unknown_parameter":
        return errors.unknown_parameter(param, f" {detail['msg']}")
    if kind in TYPES:
        return errors.wrong_type(param, TYPES[kind], got)
    if kind.endswith(("max_length", "max_properties")):
        message = f"Invalid '{param}': {context['rule']}."
        return RefusedError(400, message, param=param, reason=kind)
    return errors.wrong_value(param, context.get("shown", got), _rule(detail, context))


def _rule(detail: ErrorDetails, context: Mapping[str, Any]) -> str:
    kind = detail["type"]
    if kind in RULES:
        return RULES[kind].format_map(cast("dict[str, Any]", context))
    if kind in CHOICES:
        return f"Supported values are: {str(context['expected']).replace(' or ', ', ')}."
    return f"{detail['msg'].removeprefix('Value error, ').rstrip('.')}."
