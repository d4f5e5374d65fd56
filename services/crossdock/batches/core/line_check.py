"""Is an input line fit to run? Pure; codes and wording as OpenAI's (async-batch reference, 1.5 and 1.6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from crossdock_schemas.accounts.attribution import MAX_USER, USER_FIELDS, user_of
from crossdock_schemas.accounts.demands import Unsound, read_demands
from crossdock_schemas.batches.batch import LineError
from crossdock_schemas.operations import SPECS
from crossdock_schemas.parcel.output_line import MAX_CUSTOM_ID
from crossdock_schemas.pricing.worst_case import Ask


@dataclass(frozen=True, slots=True)
class Rules:
    """What lines must agree with. `models`: name → operations that some endpoint serves it for."""

    operation: str
    models: Mapping[str, frozenset[str]]
    max_line_bytes: int


@dataclass(frozen=True, slots=True)
class Sound:
    """A line that can run."""

    custom_id: str
    model: str
    ask: Ask
    is_for_user: bool = False
    """It names an end user."""
    is_demanding: bool = False
    """It demands something of endpoints."""


def check_line(raw: bytes, line: int, rules: Rules) -> Sound | LineError:
    """Check line number `line` (1-based)."""
    if len(raw) > rules.max_line_bytes:
        return LineError(
            code="line_too_long",
            message=f"This line has {len(raw)} bytes; the limit is {rules.max_line_bytes}.",
            line=line,
        )
    try:
        value = from_json(raw)
    except ValueError:
        return LineError(
            code="invalid_json_line", message="This line is not parseable as valid JSON.", line=line
        )
    if not isinstance(value, dict):
        return LineError(
            code="invalid_json_line", message="This line is not a JSON object.", line=line
        )
    return _check_envelope(value, line, rules, len(raw))


def _missing(param: str, line: int) -> LineError:
    return LineError(
        code="missing_required_parameter",
        message=f"Missing required parameter: '{param}'.",
        line=line,
        param=param,
    )


def _check_envelope(value: dict[str, Any], line: int, rules: Rules, size: int) -> Sound | LineError:
    custom_id = value.get("custom_id")
    for param in ("custom_id", "method", "url", "body"):
        if value.get(param) in (None, ""):
            return _missing(param, line)
    if not isinstance(custom_id, str):
        return LineError(
            code="invalid_type",
            message="'custom_id' must be a string.",
            line=line,
            param="custom_id",
        )
    if len(custom_id) > MAX_CUSTOM_ID:
        return LineError(
            code="string_above_max_length",
            message=f"'custom_id' has {len(custom_id)} characters; the limit is {MAX_CUSTOM_ID}.",
            line=line,
            param="custom_id",
        )
    if value["method"] != "POST":
        return LineError(
            code="invalid_method",
            message=f"Invalid method {value['method']!r}: only 'POST' is supported.",
            line=line,
            param="method",
        )
    if value["url"] != rules.operation:
        return LineError(
            code="mismatched_endpoint",
            message=f"The URL {value['url']!r} does not match the batch's endpoint {rules.operation!r}.",
            line=line,
            param="url",
        )
    return _check_body(value["body"], custom_id, line, rules, size)


def _check_body(
    body: object, custom_id: str, line: int, rules: Rules, size: int
) -> Sound | LineError:
    if not isinstance(body, dict):
        return LineError(
            code="invalid_type", message="'body' must be an object.", line=line, param="body"
        )
    model = body.get("model")
    if not isinstance(model, str) or not model:
        return _missing("body.model", line)
    if rules.operation not in rules.models.get(model, frozenset()):
        return LineError(
            code="model_not_found",
            message=f"The model {model!r} does not exist or does not serve {rules.operation}.",
            line=line,
            param="body.model",
        )
    spec = SPECS[rules.operation]
    if not body.get(spec.required):
        return _missing(f"body.{spec.required}", line)
    if body.get("stream"):
        return LineError(
            code="invalid_parameter",
            message="Streaming is not supported in a batch: remove 'stream'.",
            line=line,
            param="body.stream",
        )
    wrong_user = _check_user(body, line)
    if wrong_user is not None:
        return wrong_user
    demands = read_demands(body)
    if isinstance(demands, Unsound):
        param = f"body.{demands.param}"
        return LineError(code=demands.code, message=demands.message, line=line, param=param)
    is_demanding = demands is not None
    return Sound(custom_id, model, spec.ask(body, size), bool(user_of(body)), is_demanding)


def _check_user(body: Mapping[str, Any], line: int) -> LineError | None:
    for name in USER_FIELDS:
        user = body.get(name)
        if user is not None and not isinstance(user, str):
            return LineError(
                code="invalid_type",
                message=f"'body.{name}' must be a string.",
                line=line,
                param=f"body.{name}",
            )
        if user is not None and len(user) > MAX_USER:
            return LineError(
                code="string_above_max_length",
                message=f"'body.{name}' has {len(user)} characters; the limit is {MAX_USER}.",
                line=line,
                param=f"body.{name}",
            )
    return None
