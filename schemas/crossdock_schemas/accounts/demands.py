"""What a request's `provider` object demands of endpoints. Pure; field names are OpenRouter's (its reference, 3.1).

It works like one more policy, of the request itself: it can take endpoints away, and never adds one.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, StrictBool, ValidationError

from crossdock_schemas.accounts.policy import MAX_PATTERNS, PRICES, Excluded, Pattern, Price, Rules
from crossdock_schemas.message import Message
from crossdock_schemas.pricing.catalogue import Quantization

FIELD = "provider"
"""Its name in a request's body."""
REQUEST = "request"
"""The scope of its rules, where those of a policy have an organization, a project or a key."""
NO_ENDPOINT_FOUND = "no_endpoint_found"
"""The error's code where it leaves no endpoint."""
MODELS = "models"
"""A field that is not read; null is nothing."""
MAX_MESSAGE = 500  # a value may be as long as a body
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
"""By a rule's name, the request's."""
_USUAL: Mapping[str, object] = MappingProxyType(
    {"allow_fallbacks": True, "require_parameters": False, "enforce_distillable_text": False}
)
"""What may be said since nothing follows from it."""
_NOTHING = Rules()


class MaxPrice(Message):
    """USD at most, per million tokens; `request`: per call, besides its tokens."""

    prompt: Price | None = None
    completion: Price | None = None
    request: Price | None = None


class Demands(Message):
    """What an endpoint must be like."""

    only: Annotated[tuple[Pattern, ...], _SOME] | None = None
    """Names of the providers that may be asked; `*` stands for any text."""
    ignore: Annotated[tuple[Pattern, ...], Field(max_length=MAX_PATTERNS)] = ()
    """Names of those that may not."""
    data_collection: Literal["deny"] | None = None
    """deny: nobody who may train on what it is sent."""
    zdr: StrictBool = False
    """Nobody who may keep what it is sent."""
    quantizations: Annotated[tuple[Quantization, ...], _SOME] | None = None
    """Only these precisions of a model's weights."""
    max_price: MaxPrice | None = None

    def rules(self) -> Rules:
        """Return the same as a policy would say it."""
        price = self.max_price or MaxPrice()
        return Rules(
            allowed_providers=self.only,
            ignored_providers=self.ignore,
            **{rule: getattr(price, name) for name, rule in PRICES.items()},
            data_collection=self.data_collection,
            zdr=self.zdr,
            quantizations=self.quantizations,
        )


class Unsound(NamedTuple):
    """Why a request's wishes for endpoints cannot be met, in the API's terms."""

    code: str
    message: str
    param: str


def read_demands(body: Mapping[str, Any]) -> Demands | Unsound | None:
    """Return what `body` demands of endpoints; None: nothing.

    What would be passed over is refused: whoever asks for zero retention must not believe that he has it.
    """
    if body.get(MODELS) is not None:
        message = "Fallbacks to other models are not supported: name one model in 'model'."
        return Unsound("unsupported_parameter", message, MODELS)
    given = body.get(FIELD)
    if given is None:
        return None
    if not isinstance(given, dict):
        return Unsound("invalid_type", f"Invalid type for '{FIELD}': expected an object.", FIELD)
    said = _said(given)
    unknown = _unknown(said, Demands, FIELD)
    prices = said.get(_PRICE)
    if unknown is None and isinstance(prices, dict):
        said[_PRICE] = _said(prices)
        unknown = _unknown(said[_PRICE], MaxPrice, f"{FIELD}.{_PRICE}")
    return unknown or _parse(said)


def _said(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is not said anyway."""
    return {
        name: value
        for name, value in given.items()
        if value is not None and value is not _USUAL.get(name) and (name, value) != _ALLOWED
    }


def _unknown(said: Iterable[str], kind: type[Message], param: str) -> Unsound | None:
    name = next((name for name in said if name not in kind.model_fields), None)
    if name is None:
        return None
    names = ", ".join(kind.model_fields)
    message = f"'{param}.{name}' is not supported: of '{param}' are read {names}."
    return Unsound("unsupported_parameter", message[:MAX_MESSAGE], f"{param}.{name}"[:MAX_MESSAGE])


def _parse(said: Mapping[str, Any]) -> Demands | Unsound | None:
    try:
        demands = Demands.model_validate(said)
    except ValidationError as error:
        detail = error.errors()[0]
        param = ".".join((FIELD, *map(str, detail["loc"])))
        message = f"Invalid value for '{param}': {detail['input']!r}. {detail['msg']}."
        return Unsound("invalid_value", message[:MAX_MESSAGE], param)
    return None if demands.rules() == _NOTHING else demands


def in_its_words(excluded: Excluded) -> Excluded:
    """Return `excluded` with the name that the request has for the rule, if it is one of the request's."""
    if excluded.scope != REQUEST:
        return excluded
    return excluded.model_copy(update={"rule": _NAMES.get(excluded.rule, excluded.rule)})
