"""Types of a request's fields, for checks by hand: each returns the fault of a value, or None. Pure.

They are strict: a provider may read `"100"`, `1e2` or `true` as a number, so only the JSON type that is priced passes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

SHOWN = 200  # characters of a value that a message repeats
_JSON_TYPES: Mapping[type, str] = {
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


class Unsound(NamedTuple):
    """Why a field of a request is invalid, in the API's terms."""

    code: str
    message: str
    param: str


class FieldType(Protocol):
    """The type of a field. `fault` is not asked about null: that is as good as absent."""

    @property
    def text(self) -> str:
        """Return it for people."""

    @property
    def schema(self) -> dict[str, Any]:
        """Return it as a JSON schema; null is allowed besides."""

    def fault(self, param: str, value: Any) -> Unsound | None:
        """Return why `value` is not of this type."""


def or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON schema that allows null, too."""
    if schema.get("enum") == []:
        return {"type": "null"}
    return {"anyOf": [schema, {"type": "null"}]} if schema else {}


def json_type(value: object) -> str:
    return _JSON_TYPES.get(type(value), "null")


def wrong_type(param: str, wanted: str, got: object) -> Unsound:
    message = f"Invalid type for '{param}': expected {wanted}, but got {json_type(got)} instead."
    return Unsound("invalid_type", message, param)


def wrong_value(param: str, got: object, rule: str) -> Unsound:
    shown = _shown(got)
    return Unsound("invalid_value", f"Invalid value for '{param}': {shown}. {rule}", param)


def _shown(value: object) -> str:
    if type(value) is int and value.bit_length() > SHOWN:  # Python refuses to print the longest
        return f"an integer of {value.bit_length()} bits"
    shown = repr(value)
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."


@dataclass(frozen=True, slots=True)
class Anything:
    """A field without an effect on cost: the provider judges it. A number must be finite."""

    text: str = "anything"

    @property
    def schema(self) -> dict[str, Any]:
        return {}

    def fault(self, param: str, value: Any) -> Unsound | None:
        if type(value) is float and not math.isfinite(value):
            return wrong_value(param, value, "Expected a number that JSON can hold.")
        return None


@dataclass(frozen=True, slots=True)
class Integer:
    """A JSON integer within bounds: no string, fraction, exponent or boolean."""

    low: int
    high: int

    @property
    def text(self) -> str:
        return f"integer, {self.low:,} to {self.high:,}"

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}

    def fault(self, param: str, value: Any) -> Unsound | None:
        if type(value) is not int:
            return wrong_type(param, "an integer", value)
        if self.low <= value <= self.high:
            return None
        rule = f"Expected an integer from {self.low} to {self.high}."
        return wrong_value(param, value, rule)


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of some JSON types."""

    types: tuple[type, ...]

    @property
    def text(self) -> str:
        return " or ".join(self._names)

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": list(self._names)} if len(self.types) > 1 else {"type": self._names[0]}

    @property
    def _names(self) -> list[str]:
        return [_JSON_TYPES[one].split(" ", 1)[1] for one in self.types]

    def fault(self, param: str, value: Any) -> Unsound | None:
        if type(value) in self.types:
            return None
        wanted = " or ".join(_JSON_TYPES[one] for one in self.types)
        return wrong_type(param, wanted, value)


BOOLEAN = OneOf((bool,))
TEXT = OneOf((str,))
OBJECT = OneOf((dict,))


@dataclass(frozen=True, slots=True)
class Fields:
    """An object with known fields only."""

    fields: Mapping[str, FieldType]

    @property
    def text(self) -> str:
        return "object: " + ", ".join(f"`{name}`" for name in self.fields)

    @property
    def schema(self) -> dict[str, Any]:
        fields = {name: or_null(one.schema) for name, one in self.fields.items()}
        return {"type": "object", "properties": fields, "additionalProperties": False}

    def fault(self, param: str, value: Any) -> Unsound | None:
        if type(value) is not dict:
            return wrong_type(param, "an object", value)
        for name, inner in value.items():
            kind = self.fields.get(name)
            if kind is None:
                rule = f"Supported fields of '{param}': {', '.join(self.fields)}."
                path = f"{param}.{name}"[:SHOWN]
                return Unsound("unknown_parameter", f"Unknown parameter: '{path}'. {rule}", path)
            found = None if inner is None else kind.fault(f"{param}.{name}", inner)
            if found is not None:
                return found
        return None


@dataclass(frozen=True, slots=True)
class Only:
    """A field that the catalogue has no price for: only the values without an effect pass."""

    allowed: tuple[Any, ...]
    remedy: str

    @property
    def text(self) -> str:
        shown = ", ".join(f"`{_shown_json(one)}`" for one in self.allowed)
        return f"only {shown}" if shown else "refused"

    @property
    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.allowed)}

    def fault(self, param: str, value: Any) -> Unsound | None:
        if any(type(value) is type(one) and value == one for one in self.allowed):
            return None
        message = f"Unsupported value for '{param}': {_shown(value)}. {self.remedy}"
        return Unsound("unsupported_parameter", message, param)


def _shown_json(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).replace("'", '"')
