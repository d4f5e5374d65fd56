"""The parameters of requests that Crossdock knows, and their effect on what a call costs or keeps. Data.

A parameter is priced in the worst case, or has no effect on it, or is refused because the catalogue has no price for
it. Every other one is unknown: see `Provider.unknown_parameters`.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from crossdock_schemas.pricing.field_types import (
    BOOLEAN,
    OBJECT,
    TEXT,
    Anything,
    Fields,
    FieldType,
    Integer,
    OneOf,
    Only,
    Unsound,
    or_null,
    wrong_type,
)
from crossdock_schemas.pricing.worst_case import MAX_CHOICES, MAX_TOKENS

CLIENT_TOOLS = ("function", "custom")
"""Types of tools that the caller runs."""
_LIMIT = "Use 'max_completion_tokens'."
_NO_PRICE = "The catalogue has no price for it: remove it."
_FREE = Anything()
_COUNT = Integer(1, MAX_CHOICES)
_TOKENS = Integer(1, MAX_TOKENS)
_BUDGET = Integer(0, MAX_TOKENS)
_CACHE_CONTROL = Fields(
    {"type": TEXT, "ttl": Only(("5m",), "The catalogue has one price of cache writes: use '5m'.")}
)


class Effect(StrEnum):
    """The effect of a parameter on what a call costs or keeps."""

    PRICED = "priced"
    """Part of the worst case."""
    KEPT = "kept"
    """The provider keeps data; refused under zero retention."""
    NONE = "none"
    REFUSED = "refused"
    """No price: only values without an effect pass."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an operation."""

    name: str
    type: FieldType
    effect: Effect = Effect.NONE
    note: str = ""


@dataclass(frozen=True, slots=True)
class ToolList:
    """Tools that the caller runs. A tool that the provider runs costs money by rules of its own."""

    text: str = "array of tools of type `function` or `custom`"

    @property
    def schema(self) -> dict[str, Any]:
        fields = {
            "type": {"enum": list(CLIENT_TOOLS)},
            "cache_control": or_null(_CACHE_CONTROL.schema),
        }
        return {
            "type": "array",
            "items": {"type": "object", "properties": fields, "required": ["type"]},
        }

    def fault(self, param: str, value: Any) -> Unsound | None:
        if type(value) is not list:
            return wrong_type(param, "an array of objects", value)
        found = (_tool_fault(f"{param}[{number}]", tool) for number, tool in enumerate(value))
        return next((one for one in found if one is not None), None)


def _tool_fault(param: str, tool: Any) -> Unsound | None:
    if type(tool) is not dict:
        return wrong_type(param, "an object", tool)
    kind = tool.get("type")
    if kind in CLIENT_TOOLS:
        control = tool.get("cache_control")
        where = f"{param}.cache_control"
        return None if control is None else _CACHE_CONTROL.fault(where, control)
    remedy = f"Supported: {', '.join(CLIENT_TOOLS)}. The catalogue has no price for others."
    return Only((), remedy).fault(f"{param}.type", kind)


@dataclass(frozen=True, slots=True)
class ObjectList:
    """An array of objects."""

    text: str = "array of objects"

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "object"}}

    def fault(self, param: str, value: Any) -> Unsound | None:
        if type(value) is not list:
            return wrong_type(param, "an array of objects", value)
        for number, one in enumerate(value):
            if type(one) is not dict:
                return wrong_type(f"{param}[{number}]", "an object", one)
        return None


def _refused(*names: str, remedy: str = _NO_PRICE, allowed: tuple[Any, ...] = ()) -> list[Parameter]:  # fmt: skip
    return [Parameter(name, Only(allowed, remedy), Effect.REFUSED, remedy) for name in names]


def _free(*names: str, type_: FieldType = _FREE) -> list[Parameter]:
    return [Parameter(name, type_) for name in names]


_EXTRA = "Held beyond the limit of the answer."
_SHARED = [
    *_free("model", "preset", "provider", "models", "metadata", "user", "safety_identifier"),
    *_refused(
        "service_tier",
        allowed=("auto", "default", "standard"),
        remedy="The catalogue has no price for this tier: remove it.",
    ),
]
_CHAT = [
    *_free("messages"),
    Parameter("n", _COUNT, Effect.PRICED, "Each answer counts."),
    Parameter("best_of", _COUNT, Effect.PRICED, "Each answer counts, also those not returned."),
    Parameter("max_completion_tokens", _TOKENS, Effect.PRICED, "The limit of each answer."),
    Parameter("max_tokens", _TOKENS, Effect.PRICED, "The same; not together with the other."),
    Parameter("tools", ToolList(), Effect.PRICED, "A policy may deny them; their text counts."),
    Parameter("functions", ObjectList(), Effect.PRICED, "As `tools`."),
    Parameter(
        "thinking",
        Fields({"type": TEXT, "budget_tokens": _BUDGET, "display": TEXT}),
        Effect.PRICED,
        f"`budget_tokens`: {_EXTRA.lower()}",
    ),
    Parameter("thinking_budget", _BUDGET, Effect.PRICED, _EXTRA),
    Parameter(
        "reasoning",
        Fields(
            {
                "effort": TEXT,
                "max_tokens": _BUDGET,
                "exclude": BOOLEAN,
                "enabled": BOOLEAN,
                "summary": TEXT,
            }
        ),
        Effect.PRICED,
        f"`max_tokens`: {_EXTRA.lower()}",
    ),
    Parameter("prediction", OBJECT, Effect.PRICED, f"Each byte of it: {_EXTRA.lower()}"),
    Parameter("store", BOOLEAN, Effect.KEPT, "True: the provider keeps the request."),
    Parameter("prompt_cache_retention", TEXT, Effect.KEPT, "`24h`: the provider keeps its cache."),
    Parameter("cache_control", _CACHE_CONTROL, Effect.PRICED, "As a write of all input."),
    *_free("reasoning_effort", "verbosity", "prompt_cache_key", type_=TEXT),
    *_free("stream", "enable_thinking", "include_reasoning", "parallel_tool_calls", type_=BOOLEAN),
    *_free("stream_options", "response_format", type_=OBJECT),
    *_free("logprobs", type_=OneOf((bool, int))),
    *_free("top_logprobs", type_=Integer(0, 20)),
    *_free("min_tokens", type_=_BUDGET),
    *_free("seed", "random_seed", type_=Integer(-(2**63), 2**63 - 1)),
    *_free("tool_choice", "function_call", type_=OneOf((str, dict))),
    *_free(
        "temperature", "top_p", "top_k", "top_a", "min_p", "typical_p", "presence_penalty", "frequency_penalty",
        "repetition_penalty", "length_penalty", "logit_bias", "stop", "stop_token_ids", "ignore_eos",
        "skip_special_tokens", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "usage", "trace",
        "session_id",
    ),
    *_refused("max_output_tokens", "max_new_tokens", "max_gen_len", "num_predict", remedy=_LIMIT),
    *_refused(
        "audio", "web_search_options", "plugins", "search_parameters", "mcp_servers", "container", "inference_geo",
        "fallbacks", "route",
    ),
    *_refused("modalities", allowed=(["text"],)),
    *_refused("background", "deferred", "enable_search", allowed=(False,)),
    *_refused("speed", allowed=("standard",)),
]  # fmt: skip
_EMBEDDINGS = [
    *_free("input"),
    *_free("dimensions", type_=Integer(1, 1_000_000)),
    *_free("encoding_format", "input_type", type_=TEXT),
]


def _by_name(*tables: list[Parameter]) -> Mapping[str, Parameter]:
    return MappingProxyType({one.name: one for table in tables for one in table})


PARAMETERS: Mapping[str, Mapping[str, Parameter]] = MappingProxyType(
    {
        "/v1/chat/completions": _by_name(_SHARED, _CHAT),
        "/v1/embeddings": _by_name(_SHARED, _EMBEDDINGS),
    }
)
"""By operation and name."""


def folded(name: str) -> str:
    """Return `name` as a careless reader sees it: without case, width, punctuation and invisible characters."""
    return "".join(c for c in unicodedata.normalize("NFKC", name).casefold() if c.isalnum())


LOOKALIKES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {operation: {folded(name): name for name in known} for operation, known in PARAMETERS.items()}
)
"""By operation: the name of a parameter by its folded form."""
CACHE_CONTROL: FieldType = _CACHE_CONTROL
