"""Demands of a request's `provider` object on endpoints. Pure; field names are OpenRouter's.

They work like one more policy, of the request itself: they can exclude endpoints, and never add one.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, ValidationError

from crossdock_schemas.accounts.policy import MAX_PATTERNS, PRICES, Excluded, Pattern, Price, Rules
from crossdock_schemas.message import Message
from crossdock_schemas.pricing.catalogue import Quantization
from crossdock_schemas.pricing.field_types import Unsound

FIELD = "provider"
"""Its name in a request's body."""
REQUEST = "request"
"""The scope of its rules; rules of a policy have an organization, a project or a key."""
NO_ENDPOINT_FOUND = "no_endpoint_found"
"""Code of the error if no endpoint is left."""
MODELS = "models"
"""A field that is not supported; null is ignored."""
MAX_MESSAGE = 500  # a value may be as long as a body
MAX_DEMANDS_BYTES = 65_536  # of the JSON of all demands: they are in every envelope of the request
_PRICE = "max_price"
_ALLOWED = ("data_collection", "allow")
_SOME = Field(min_length=1, max_length=MAX_PATTERNS)
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "allowed_providers": "only",
        "ignored_providers": "ignore",
        **{rule: f"{_PRICE}.{name}" for name, rule in PRICES.items()},
    }
)
"""The request's name of a rule, by the policy's name."""
_NO_EFFECT: Mapping[str, object] = MappingProxyType(
    {"allow_fallbacks": True, "require_parameters": False, "enforce_distillable_text": False}
)
"""Values that are accepted because they have no effect."""
_NOTHING = Rules()


class MaxPrice(Message):
    """USD at most, per million tokens; `request`: per call, besides its tokens."""

    prompt: Price | None = None
    completion: Price | None = None
    request: Price | None = None


class Demands(Message):
    """Required properties of an endpoint."""

    only: Annotated[tuple[Pattern, ...], _SOME] | None = None
    """Names of allowed providers; `*` matches any text."""
    ignore: Annotated[tuple[Pattern, ...], Field(max_length=MAX_PATTERNS)] = ()
    """Names of excluded providers."""
    data_collection: Literal["deny"] | None = None
    """deny: no provider that may train on requests."""
    zdr: StrictBool = False
    """No provider that may store requests."""
    quantizations: Annotated[tuple[Quantization, ...], _SOME] | None = None
    """Only these precisions of a model's weights."""
    max_price: MaxPrice | None = None

    def rules(self) -> Rules:
        """Return the same demands as rules of a policy."""
        price = self.max_price or MaxPrice()
        return Rules(
            allowed_providers=self.only,
            ignored_providers=self.ignore,
            **{rule: getattr(price, name) for name, rule in PRICES.items()},
            data_collection=self.data_collection,
            zdr=self.zdr,
            quantizations=self.quantizations,
        )


def read_demands(body: Mapping[str, Any]) -> Demands | Unsound | None:
    """Return the demands of `body` on endpoints; None without any.

    Unknown fields are refused: a caller must not believe in zero retention that is not enforced.
    """
    if body.get(MODELS) is not None:
        message = "Fallbacks to other models are not supported: name one model in 'model'."
        return Unsound("unsupported_parameter", message, MODELS)
    given = body.get(FIELD)
    if given is None:
        return None
    if not isinstance(given, dict):
        return Unsound("invalid_type", f"Invalid type for '{FIELD}': expected an object.", FIELD)
    wanted = _effective(given)
    unknown = _unknown(wanted, Demands, FIELD)
    prices = wanted.get(_PRICE)
    if unknown is None and isinstance(prices, dict):
        wanted[_PRICE] = _effective(prices)
        unknown = _unknown(wanted[_PRICE], MaxPrice, f"{FIELD}.{_PRICE}")
    return unknown or _parse(wanted)


def _effective(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that have an effect."""
    return {
        name: value
        for name, value in given.items()
        if value is not None and value is not _NO_EFFECT.get(name) and (name, value) != _ALLOWED
    }


def _unknown(wanted: Iterable[str], kind: type[Message], param: str) -> Unsound | None:
    name = next((name for name in wanted if name not in kind.model_fields), None)
    if name is None:
        return None
    names = ", ".join(kind.model_fields)
    message = f"'{param}.{name}' is not supported. Supported fields of '{param}': {names}."
    return Unsound("unsupported_parameter", message[:MAX_MESSAGE], f"{param}.{name}"[:MAX_MESSAGE])


def _parse(wanted: Mapping[str, Any]) -> Demands | Unsound | None:
    try:
        demands = Demands.model_validate(wanted)
    except ValidationError as error:
        detail = error.errors()[0]
        param = ".".join((FIELD, *map(str, detail["loc"])))
        message = f"Invalid value for '{param}': {detail['input']!r}. {detail['msg']}."
        return Unsound("invalid_value", message[:MAX_MESSAGE], param)
    if demands.rules() == _NOTHING:
        return None
    size = len(demands.to_json())
    if size > MAX_DEMANDS_BYTES:
        message = (
            f"'{FIELD}' has {size} bytes; the limit is {MAX_DEMANDS_BYTES}: name fewer providers."
        )
        return Unsound("invalid_value", message, FIELD)
    return demands


def in_its_words(excluded: Excluded) -> Excluded:
    """Return `excluded` with the request's name of the rule, if it is a rule of the request."""
    if excluded.scope != REQUEST:
        return excluded
    return excluded.model_copy(update={"rule": _NAMES.get(excluded.rule, excluded.rule)})
