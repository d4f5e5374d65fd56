"""The types of the API's fields, each with its check and its JSON Schema: ids, names, amounts, times, tags. Pure."""

import ipaddress
import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    Strict,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from crossdock.ingress.values.models import fault
from crossdock_schemas.accounts.account import MAX_NAME
from crossdock_schemas.accounts.attribution import MAX_TAG_NAME, MAX_TAG_VALUE, MAX_TAGS
from crossdock_schemas.ids import MAX_ID
from crossdock_schemas.money import usd_text
from crossdock_schemas.times import is_bounded, utc

MAX_NETWORKS = 100
MAX_FILE_NAME = 512
USD = re.compile(r"[0-9]{1,14}(\.[0-9]{1,6})?")
SIGNED_USD = re.compile(rf"-?{USD.pattern}")
_USD_RULE = "Expected USD such as 12.50: from 0 to below 10^14, with at most 6 decimal places."
_SIGNED_RULE = "Expected USD such as 12.50 or -12.50, with at most 14 and 6 digits."
_IPV4 = r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_GROUP = "[0-9A-Fa-f]{1,4}"
_IPV6 = "|".join(
    (
        f"(?:{_GROUP}:){{7}}{_GROUP}",
        f"(?:{_GROUP}:){{1,7}}:",
        *(f"(?:{_GROUP}:){{1,{7 - n}}}(?::{_GROUP}){{1,{n}}}" for n in range(1, 7)),
        f":(?::{_GROUP}){{1,7}}",
        "::",
    )
)
_IPV6_NETWORK = f"^(?:{_IPV6})(?:/(?:12[0-8]|1[01][0-9]|[1-9]?[0-9]))?$"
_IPV4_NETWORK = rf"^{_IPV4}(?:/(?:3[0-2]|[12]?[0-9]))?$"


def exactly(pattern: str) -> str:
    """Return the regular expression that matches nothing but the whole."""
    return f"^(?:{pattern})$"


def _example(prefix: str, text: str, max_length: int | None = MAX_ID) -> Any:
    return Field(description=text, examples=[prefix + "0" * 32], max_length=max_length)


FileId = TypeAliasType("FileId", Annotated[str, _example("file-", "A file of the key's project.")])
UploadId = TypeAliasType(
    "UploadId", Annotated[str, _example("upload_", "An upload of the key's project.")]
)
PartId = TypeAliasType("PartId", Annotated[str, _example("part_", "A part of one upload.")])
BatchId = TypeAliasType(
    "BatchId", Annotated[str, _example("batch_", "A batch of the key's project.")]
)
KeyId = TypeAliasType("KeyId", Annotated[str, _example("key_", "A key of the organization.")])
KeyName = TypeAliasType(
    "KeyName",
    Annotated[str, _example("key_", "A key's id, or the SHA-256 of its text in hexadecimal.")],
)
KeyHash = TypeAliasType(
    "KeyHash",
    Annotated[
        str,
        Field(
            pattern=r"^[0-9a-f]{64}$",
            description="The SHA-256 of a key's text in hexadecimal.",
        ),
    ],
)
ByokId = TypeAliasType("ByokId", Annotated[str, _example("byok_", "A BYOK key.")])
CreditId = TypeAliasType(
    "CreditId", Annotated[str, _example("credit_", "Credits of an organization.")]
)
ProjectId = TypeAliasType(
    "ProjectId", Annotated[str, _example("proj_", "A project of the organization.")]
)
OrganizationId = TypeAliasType(
    "OrganizationId", Annotated[str, _example("org_", "An organization.")]
)
PresetScopeId = TypeAliasType(
    "PresetScopeId",
    Annotated[str, _example("proj_", "The organization, or one of its projects.")],
)
ScopeId = TypeAliasType(
    "ScopeId",
    Annotated[str, _example("proj_", "The organization, or one of its projects or keys.")],
)
BudgetScopeId = TypeAliasType(
    "BudgetScopeId",
    Annotated[
        str,
        _example(
            "proj_",
            "The organization, one of its projects or keys, an end user (`user:alice`) or a tag "
            "(`tag:team=search`; in the tag's name `%` is `%25` and `=` is `%3D`).",
            None,
        ),
    ],
)

FileName = Annotated[str, Field(max_length=MAX_FILE_NAME)]
MediaType = Annotated[str, Field(max_length=MAX_NAME)]
Md5 = Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{32}$")]
Flag = Annotated[bool, Strict()]
Whole = Annotated[int, Strict()]
Count = Annotated[int, Field(ge=0)]
Version = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]


def iso(ms: int) -> str:
    """Return a time in unix milliseconds as ISO 8601, in whole seconds."""
    return f"{utc(ms):%Y-%m-%dT%H:%M:%SZ}"


def _time_of(given: object) -> int:
    if not isinstance(given, str):
        raise PydanticCustomError("string_type", "")
    try:
        at = datetime.fromisoformat(given)
        ms = int(at.timestamp() * 1000) if at.tzinfo is not None else None
    except (ValueError, OverflowError):
        ms = None
    if ms is None:
        raise fault("Expected a time with its offset, such as 2027-01-31T12:00:00Z.")
    if not is_bounded(ms):
        raise fault("Expected a time from 2000-01-01 to 2199-12-31.")
    return ms


_TIME = {"type": "string", "format": "date-time"}
Time = Annotated[int, PlainSerializer(iso, return_type=str), WithJsonSchema(_TIME)]
"""Unix milliseconds, shown as ISO 8601."""
SentTime = Annotated[int, BeforeValidator(_time_of), WithJsonSchema(_TIME)]
"""ISO 8601 with its offset, read as unix milliseconds that every store takes: see `crossdock_schemas.times`."""
Seconds = Annotated[
    int,
    PlainSerializer(lambda ms: ms // 1000, return_type=int),
    WithJsonSchema({"type": "integer", "description": "Unix time in seconds."}),
]
"""Unix milliseconds, shown in seconds."""


def _usd_schema(pattern: re.Pattern[str], **bounds: float) -> Any:
    text = {"type": "string", "pattern": exactly(pattern.pattern)}
    number = {"type": "number", **bounds}
    return WithJsonSchema(
        {"anyOf": [number, text], "description": "USD, at most 6 decimal places."}
    )


def _usd_of(given: object, pattern: re.Pattern[str], rule: str) -> Decimal:
    """Return the exact amount of a number or a text."""
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        raise PydanticCustomError("usd_type", "")
    text = given if isinstance(given, str) else f"{Decimal(str(given)):f}"
    if not pattern.fullmatch(text):
        raise fault(rule)
    return Decimal(text)


Amount = Annotated[
    Decimal,
    BeforeValidator(lambda given: _usd_of(given, USD, _USD_RULE)),
    _usd_schema(USD, minimum=0, exclusiveMaximum=1e14),
]
"""An amount that is sent."""
SignedAmount = Annotated[
    Decimal,
    BeforeValidator(lambda given: _usd_of(given, SIGNED_USD, _SIGNED_RULE)),
    _usd_schema(SIGNED_USD, exclusiveMinimum=-1e14, exclusiveMaximum=1e14),
]
_AS_TEXT = PlainSerializer(usd_text, return_type=str)
_EXACT = WithJsonSchema(
    {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$", "description": "USD, exactly."}
)
ExactUsd = Annotated[Decimal, _AS_TEXT, _EXACT]
SignedUsd = Annotated[
    Decimal,
    _AS_TEXT,
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^-?[0-9]+(\.[0-9]+)?$",
            "description": "USD, exactly; may be below 0.",
        }
    ),
]
DoubleUsd = Annotated[
    Decimal,
    PlainSerializer(float, return_type=float),
    WithJsonSchema({"type": "number", "description": "USD, as a double."}),
]


_PRICE = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")
_PRICE_RULE = "Expected USD such as 0.25: from 0 to below 10^6, with at most 6 decimal places."
SentPrice = Annotated[
    Decimal,
    BeforeValidator(lambda given: _usd_of(given, _PRICE, _PRICE_RULE)),
    _usd_schema(_PRICE, minimum=0, exclusiveMaximum=1e6),
]
Price = Annotated[Decimal, PlainSerializer("{:f}".format, return_type=str), _EXACT]


def _networks_of(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(_network_of, texts))


def _network_of(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        rule = "Expected an address or a network such as 10.1.0.0/16 or 2001:db8::/32."
        raise fault(rule, shown=text) from None


_NETWORK = {
    "type": "string",
    "anyOf": [
        {"pattern": _IPV4_NETWORK},
        {"pattern": _IPV6_NETWORK},
    ],
    "examples": ["10.1.0.0/16", "2001:db8::/32"],
}
Networks = Annotated[
    tuple[str, ...],
    Field(max_length=MAX_NETWORKS),
    AfterValidator(_networks_of),
    WithJsonSchema({"type": "array", "maxItems": MAX_NETWORKS, "items": _NETWORK}),
]
"""Addresses and networks; a single address is a network of one."""


def _tags_of(tags: dict[str, str]) -> dict[str, str]:
    """Check the sizes, with OpenAI's codes."""
    if len(tags) > MAX_TAGS:
        raise too_many_properties(MAX_TAGS, len(tags))
    for name, value in tags.items():
        if len(name) > MAX_TAG_NAME:
            raise too_long("a property name", MAX_TAG_NAME, len(name))
        if len(value) > MAX_TAG_VALUE:
            raise too_long("a string", MAX_TAG_VALUE, len(value), field=name)
    return tags


def too_many_properties(limit: int, got: int) -> PydanticCustomError:
    rule = f"expected an object with at most {limit} properties, but got one with {got}"
    return PydanticCustomError("object_above_max_properties", "{rule}", {"rule": rule})


def too_long(kind: str, limit: int, got: int, field: str = "") -> PydanticCustomError:
    rule = f"expected {kind} of at most {limit} characters, but got one of {got}"
    return PydanticCustomError("string_above_max_length", "{rule}", {"rule": rule, "field": field})


Tags = Annotated[
    dict[str, str],
    AfterValidator(_tags_of),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": MAX_TAGS,
            "propertyNames": {"maxLength": MAX_TAG_NAME},
            "additionalProperties": {"type": "string", "maxLength": MAX_TAG_VALUE},
        }
    ),
]


def _number_of(given: object) -> object:
    """Refuse a query's number that is not written in digits alone."""
    if isinstance(given, str) and not re.fullmatch(r"-?[0-9]{1,18}", given):
        raise PydanticCustomError("int_type", "")
    return given


QueryNumber = Annotated[int, BeforeValidator(_number_of)]
QueryFlag = Literal["true", "false"]
