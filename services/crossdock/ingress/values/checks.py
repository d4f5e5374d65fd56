"""Checks of single requests by hand, for speed. Pure; a fault is raised as a `RefusedError`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from crossdock.ingress.values import errors
from crossdock.ingress.values.errors import RefusedError
from crossdock_schemas.accounts.attribution import (
    MAX_TAG_NAME,
    MAX_TAG_VALUE,
    MAX_TAGS,
    MAX_USER,
    USER_FIELDS,
    user_of,
)
from crossdock_schemas.accounts.demands import Demands, Unsound, read_demands
from crossdock_schemas.operations import CHAT, EMBEDDINGS, SPECS
from crossdock_schemas.pricing.catalogue import Catalogue

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RequestWish:
    """The fields of a sound single request that routing and attribution need."""

    model: str
    user: str
    """The end user that it is for; empty: it names none."""
    tags: dict[str, str]
    demands: Demands | None = None
    """The number of endpoints."""


def require_text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if value is None:
        raise errors.missing(name)
    if not isinstance(value, str):
        raise errors.wrong_type(name, "a string", value)
    return value


def check_metadata(metadata: object) -> dict[str, str] | None:
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise errors.wrong_type("metadata", "an object", metadata)
    if len(metadata) > MAX_TAGS:
        raise RefusedError(
            400,
            f"Invalid 'metadata': too many properties. Expected an object with at most {MAX_TAGS} properties, "
            f"but got an object with {len(metadata)} properties instead.",
            param="metadata",
            reason="object_above_max_properties",
        )
    for key, value in metadata.items():
        _check_pair(key, value)
    return metadata


def _check_pair(key: str, value: object) -> None:
    if not isinstance(value, str):
        raise errors.wrong_type(f"metadata.{key[:MAX_TAG_NAME]}", "a string", value)
    if len(key) > MAX_TAG_NAME:
        raise _too_long("metadata", "a property name", MAX_TAG_NAME, len(key))
    if len(value) > MAX_TAG_VALUE:
        raise _too_long(f"metadata.{key}", "a string", MAX_TAG_VALUE, len(value))


def _too_long(param: str, what: str, limit: int, got: int) -> RefusedError:
    return RefusedError(
        400,
        f"Invalid '{param}': string too long. Expected {what} with maximum length {limit}, "
        f"but got one with length {got} instead.",
        param=param,
        reason="string_above_max_length",
    )


def _check_user(body: Json) -> str:
    for name in USER_FIELDS:
        user = body.get(name)
        if user is not None and not isinstance(user, str):
            raise errors.wrong_type(name, "a string", user)
        if user is not None and len(user) > MAX_USER:
            raise _too_long(name, "a string", MAX_USER, len(user))
    return user_of(body)


def check_request(body: Json, operation: str, catalogue: Catalogue) -> RequestWish:
    """Return the fields of a sound chat completion or embedding request."""
    model = require_text(body, "model")
    required = SPECS[operation].required
    _CHECK_REQUIRED[required](body.get(required))
    operations = catalogue.models.get(model)
    if operations is None:
        raise errors.no_model(model)
    if operation not in operations:
        raise errors.not_served(model, operation, catalogue)
    tags = check_metadata(body.get("metadata")) or {}
    return RequestWish(model, _check_user(body), tags, _check_demands(body))


def _check_demands(body: Json) -> Demands | None:
    demands = read_demands(body)
    if isinstance(demands, Unsound):
        raise errors.unsound(demands)
    return demands


def _check_messages(messages: object) -> None:
    if messages is None:
        raise errors.missing("messages")
    if not isinstance(messages, list):
        raise errors.wrong_type("messages", "an array of objects", messages)
    if not messages:
        rule = "Expected an array with at least one message."
        raise errors.wrong_value("messages", messages, rule)
    for number, message in enumerate(messages):
        if not isinstance(message, dict):
            raise errors.wrong_type(f"messages[{number}]", "an object", message)


def _check_input(given: object) -> None:
    if given is None:
        raise errors.missing("input")
    if not isinstance(given, str | list):
        raise errors.wrong_type("input", "a string or an array", given)
    if not given:
        raise errors.wrong_value("input", given, "Expected something to embed.")


_CHECK_REQUIRED = {CHAT.required: _check_messages, EMBEDDINGS.required: _check_input}
Purpose = Literal["fine-tune", "assistants", "batch", "user_data", "vision", "evals"]


def check_purpose(purpose: str, filename: str) -> None:
    if purpose == "batch" and not filename.lower().endswith(".jsonl"):
        raise RefusedError(
            400,
            "Invalid file format for Batch API. Must be .jsonl",
            param="file",
            reason="invalid_file_format",
        )


def check_number(text: str | None, name: str, *, default: int, lowest: int, highest: int) -> int:
    """Return a query parameter's integer."""
    if text is None:
        return default
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise errors.wrong_type(name, "an integer", text)
    if not lowest <= int(text) <= highest:
        rule = f"Expected a value from {lowest} to {highest}."
        raise errors.wrong_value(name, int(text), rule)
    return int(text)
