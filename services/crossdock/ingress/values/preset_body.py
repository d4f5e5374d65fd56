"""Checks of what a preset shall say. Pure; a fault is raised as a `RefusedError`."""

import json
import re
from typing import Any

from pydantic import ValidationError

from crossdock.ingress.values import errors
from crossdock.ingress.values.checks import Json
from crossdock.ingress.values.management_bodies import check_known
from crossdock.kernel.requests.preparation import MARK
from crossdock_schemas.accounts.demands import Unsound, read_demands
from crossdock_schemas.accounts.preset import (
    MAX_PARAMETERS_BYTES,
    NO_PARAMETERS,
    SLUG_PATTERN,
    Settings,
)

FIELDS = tuple(Settings.model_fields)


def check_slug(slug: str) -> str:
    if not re.fullmatch(SLUG_PATTERN, slug):
        rule = "Expected 1 to 64 of a-z, 0-9 and -, beginning and ending with a letter or a digit."
        raise errors.wrong_value("slug", slug, rule)
    return slug


def check_settings(body: Json) -> Settings:
    """Return the settings that the body of a preset asks for."""
    check_known(body, FIELDS)
    parameters = body.get("parameters")
    if parameters is not None:
        _check_parameters(parameters)
    model = body.get("model")
    if isinstance(model, str) and MARK in model:
        raise errors.wrong_value("model", model, "A preset names no other preset.")
    try:
        return Settings(**{name: value for name, value in body.items() if value is not None})
    except ValidationError as error:
        detail = error.errors()[0]
        param = ".".join(map(str, detail["loc"]))
        given = "..." if param == "system" else detail["input"]
        raise errors.wrong_value(param, given, f"{detail['msg']}.") from None


def _check_parameters(parameters: Any) -> None:
    if not isinstance(parameters, dict):
        raise errors.wrong_type("parameters", "an object", parameters)
    for name in parameters:
        if name in NO_PARAMETERS:
            rule = f"A preset sets none of {', '.join(sorted(NO_PARAMETERS))} among its parameters."
            raise errors.wrong_value("parameters", name, rule)
    demands = read_demands(parameters)
    if isinstance(demands, Unsound):
        raise errors.unsound(demands, "parameters.")
    try:
        size = len(json.dumps(parameters, allow_nan=False))
    except ValueError:  # a number such as 1e999
        rule = "A number in it is too large for JSON."
        raise errors.wrong_value("parameters", "...", rule) from None
    if size > MAX_PARAMETERS_BYTES:
        rule = f"Expected {MAX_PARAMETERS_BYTES} bytes of JSON at most."
        raise errors.wrong_value("parameters", f"{size} bytes", rule)
