"""Checks of single requests by hand, for speed. Pure; a fault is raised as a `RefusedError`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic_core import from_json

from crossdock.ingress.values import errors
from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.types import MAX_FILE_NAME
from crossdock.kernel.requests.body_check import check_body, metadata_fault, too_long
from crossdock_schemas.accounts.attribution import user_of
from crossdock_schemas.accounts.demands import Demands, read_demands
from crossdock_schemas.pricing.catalogue import Catalogue
from crossdock_schemas.pricing.field_types import Unsound

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RequestWish:
    """The fields of a sound single request that routing and attribution need."""

    model: str
    user: str
    """The end user that it is for; empty: it names none."""
    tags: dict[str, str]
    demands: Demands | None = None
    """Its demands on endpoints."""
    unknown: tuple[str, ...] = ()
    """Its fields that it does not know."""


def require_text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if value is None:
        raise errors.missing(name)
    if not isinstance(value, str):
        raise errors.wrong_type(name, "a string", value)
    return value


def check_metadata(metadata: Any) -> dict[str, str] | None:
    fault = metadata_fault(metadata)
    if fault is not None:
        raise errors.unsound(fault)
    checked: dict[str, str] | None = metadata
    return checked


def check_request(body: Json, operation: str, catalogue: Catalogue) -> RequestWish:
    """Return the fields of a sound chat completion or embedding request."""
    model = require_text(body, "model")
    unknown = check_body(body, operation)
    if isinstance(unknown, Unsound):
        raise errors.unsound(unknown)
    operations = catalogue.models.get(model)
    if operations is None:
        raise errors.no_model(model)
    if operation not in operations:
        raise errors.not_served(model, operation, catalogue)
    demands = read_demands(body)
    if isinstance(demands, Unsound):
        raise errors.unsound(demands)
    return RequestWish(model, user_of(body), body.get("metadata") or {}, demands, unknown)


Purpose = Literal["fine-tune", "assistants", "batch", "user_data", "vision", "evals"]


def check_purpose(purpose: str, filename: str) -> None:
    if purpose == "batch" and not filename.lower().endswith(".jsonl"):
        raise no_jsonl()


def no_jsonl() -> RefusedError:
    return RefusedError(
        400,
        "Invalid file format for Batch API. Must be .jsonl",
        param="file",
        reason="invalid_file_format",
    )


def check_file_name(name: str) -> None:
    if len(name) > MAX_FILE_NAME:
        raise errors.unsound(too_long("file", "a file name", MAX_FILE_NAME, len(name)))


def begins_with_object(head: bytes, *, is_all: bool) -> bool:
    """Return whether the first line of a file is a JSON object; of a longer line only the beginning is in `head`."""
    first, end, _ = head.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")
    if not end and not is_all:
        return first.startswith(b"{")
    try:
        return isinstance(from_json(first), dict)
    except ValueError:
        return False


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
