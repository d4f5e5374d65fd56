"""Checks an input line: can it run? Pure; codes and wording are OpenAI's (async-batch reference, 1.5 and 1.6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from crossdock.kernel.requests.body_check import check_body
from crossdock.kernel.requests.json_values import MAX_VALUES, has_too_many_values
from crossdock_schemas.accounts.attribution import user_of
from crossdock_schemas.accounts.demands import read_demands
from crossdock_schemas.batches.batch import LineError
from crossdock_schemas.operations import SPECS
from crossdock_schemas.parcel.output_line import MAX_CUSTOM_ID
from crossdock_schemas.pricing.field_types import Unsound
from crossdock_schemas.pricing.worst_case import Ask

SHOWN = 200  # characters of a value that a message repeats


def shown(value: object) -> str:
    """Return `value` for a message, cut if it is long."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


@dataclass(frozen=True, slots=True)
class LineRules:
    """Rules for all lines of an input."""

    operation: str
    models: Mapping[str, frozenset[str]]
    """Operations that an endpoint serves, by model."""
    max_line_bytes: int


@dataclass(frozen=True, slots=True)
class CheckedLine:
    """A line that can run."""

    custom_id: str
    model: str
    ask: Ask
    is_for_user: bool = False
    """It names an end user."""
    is_demanding: bool = False
    """It has demands on endpoints."""
    is_special: bool = False
    """It has fields that it does not know, or asks for what an index has no room for."""


def check_line(raw: bytes, line: int, rules: LineRules) -> CheckedLine | LineError:
    """Check line number `line` (1-based)."""
    if len(raw) > rules.max_line_bytes:
        message = f"This line has {len(raw)} bytes; the limit is {rules.max_line_bytes}."
        return LineError(code="line_too_long", message=message, line=line)
    if has_too_many_values(raw):
        message = f"This line's JSON holds too many values; the limit is {MAX_VALUES:,}."
        return LineError(code="line_too_long", message=message, line=line)
    try:
        value = from_json(raw, allow_inf_nan=False)
    except ValueError:
        message = "This line is not parseable as valid JSON."
        return LineError(code="invalid_json_line", message=message, line=line)
    if not isinstance(value, dict):
        message = "This line is not a JSON object."
        return LineError(code="invalid_json_line", message=message, line=line)
    wrong = _check_envelope(value, rules) or _check_model(value["body"], rules)
    if wrong is not None:
        return wrong.model_copy(update={"line": line})
    body = value["body"]
    unknown = check_body(body, rules.operation)
    demands = unknown if isinstance(unknown, Unsound) else read_demands(body)
    if isinstance(demands, Unsound):
        param = f"body.{demands.param}"
        return LineError(code=demands.code, message=demands.message, line=line, param=param)
    ask = SPECS[rules.operation].ask(body, len(raw))
    return CheckedLine(
        value["custom_id"],
        body["model"],
        ask,
        is_for_user=bool(user_of(body)),
        is_demanding=demands is not None,
        is_special=bool(unknown or ask.extra or ask.kept),
    )


def _missing(param: str) -> LineError:
    message = f"Missing required parameter: '{param}'."
    return LineError(code="missing_required_parameter", message=message, param=param)


def _check_envelope(value: Mapping[str, Any], rules: LineRules) -> LineError | None:
    for param in ("custom_id", "method", "url", "body"):
        if value.get(param) in (None, ""):
            return _missing(param)
    wrong_id = _check_text(value["custom_id"], "custom_id", MAX_CUSTOM_ID)
    if wrong_id is not None:
        return wrong_id
    if value["method"] != "POST":
        message = f"Invalid method {shown(value['method'])}: only 'POST' is supported."
        return LineError(code="invalid_method", message=message, param="method")
    if value["url"] != rules.operation:
        message = f"The URL {shown(value['url'])} does not match the batch's endpoint {rules.operation!r}."
        return LineError(code="mismatched_endpoint", message=message, param="url")
    if not isinstance(value["body"], dict):
        return LineError(code="invalid_type", message="'body' must be an object.", param="body")
    return None


def _check_text(value: object, param: str, longest: int) -> LineError | None:
    if not isinstance(value, str):
        return LineError(code="invalid_type", message=f"'{param}' must be a string.", param=param)
    if len(value) > longest:
        message = f"'{param}' has {len(value)} characters; the limit is {longest}."
        return LineError(code="string_above_max_length", message=message, param=param)
    return None


def _check_model(body: Mapping[str, Any], rules: LineRules) -> LineError | None:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        return _missing("body.model")
    if rules.operation not in rules.models.get(model, frozenset()):
        message = f"The model {shown(model)} does not exist or does not serve {rules.operation}."
        return LineError(code="model_not_found", message=message, param="body.model")
    spec = SPECS[rules.operation]
    if not body.get(spec.required):
        return _missing(f"body.{spec.required}")
    if body.get("stream"):
        message = "Streaming is not supported in a batch: remove 'stream'."
        return LineError(code="invalid_parameter", message=message, param="body.stream")
    return None
