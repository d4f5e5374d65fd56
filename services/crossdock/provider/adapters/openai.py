"""The OpenAI-shaped wire format: what goes up, and what an answer must be to count as one. Pure."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic_core import from_json, to_json

from crossdock_schemas.accounts.demands import FIELD, MODELS
from crossdock_schemas.calls.usage import CallOutcome
from crossdock_schemas.parcel.parcel import Candidate
from crossdock_schemas.pricing.worst_case import OUTPUT_LIMITS, output_of
from crossdock_schemas.tokens import Tokens

_TICKS_PER_USD = Decimal(10) ** 10  # xAI's usage.cost_in_usd_ticks
_BROKEN_FINISH = frozenset({"error", "insufficient_system_resource", "network_error"})
_MAX_COUNT = 10**12  # tokens of one call; a greater figure is no count
_MAX_COST_USD = 10**9
_COST_PLACES = Decimal("1e-12")
_OURS = ("stream", "stream_options", FIELD, MODELS)
"""Fields of a body that are the dock's, and no provider's."""
_CACHED = ("num_cached_tokens", "prompt_cache_hit_tokens", "cached_tokens")
_WRITTEN = ("cache_write_tokens", "cache_creation_input_tokens")


class UnreadableLineError(ValueError):
    """The line is not `{"custom_id": str, "body": object, ...}`. It was checked before: somebody else wrote it."""


@dataclass(frozen=True, slots=True)
class Call:
    """A line as it goes to the provider."""

    custom_id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole and sound answer."""

    body: bytes
    """One line of JSON."""
    tokens: Tokens | None
    """None where the provider did not say."""
    output_chars: int
    provider_cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Fault:
    """A 200 that is no answer."""

    outcome: CallOutcome
    code: str


def make_call(line: bytes, candidate: Candidate) -> Call:
    """Return the call for an input line; the answer is never streamed to us, and never longer than money is held for.

    Raises:
        UnreadableLineError: if it is no such line.
    """
    try:
        value = from_json(line)
        custom_id, body = value["custom_id"], value["body"]
        body["model"] = candidate.upstream_model
        for ours in _OURS:
            body.pop(ours, None)
        if candidate.output_limit and "messages" in body and not output_of(body):
            kept = {name: value for name, value in body.items() if name not in OUTPUT_LIMITS}
            body = kept | {candidate.max_tokens_parameter: candidate.output_limit}
        return Call(str(custom_id), to_json(body))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableLineError(repr(error)[:200]) from None


def read_answer(operation: str, content: bytes) -> Answer | Fault:
    """Read a 200's body. Whatever a provider sends, this returns."""
    try:
        value = from_json(content, allow_inf_nan=False)
    except ValueError as error:
        is_cut = "EOF" in str(error) and content.lstrip()[:1] in (b"{", b"[")
        return Fault(CallOutcome.TRUNCATED if is_cut else CallOutcome.GARBAGE, "broken_json")
    if not isinstance(value, dict):
        return Fault(CallOutcome.GARBAGE, "not_an_object")
    if value.get("error"):
        return Fault(CallOutcome.SERVER_ERROR, "error_in_200")
    chars = _embedded(value) if operation == "/v1/embeddings" else _completed(value)
    if isinstance(chars, Fault):
        return chars
    body = content if b"\n" not in content else to_json(value)
    usage = value.get("usage")
    if not isinstance(usage, dict):
        return Answer(body, None, chars, None)
    return Answer(body, read_usage(usage), chars, _cost(usage))


def _completed(value: dict[str, Any]) -> int | Fault:
    choices = value.get("choices")
    if not isinstance(choices, list) or not choices:
        return Fault(CallOutcome.GARBAGE, "no_choices")
    chars = 0
    for choice in choices:
        if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
            return Fault(CallOutcome.GARBAGE, "no_message")
        fault = _unfinished(choice.get("finish_reason"), choice["message"])
        if fault is not None:
            return fault
        content = choice["message"].get("content")
        chars += len(content) if isinstance(content, str) else 0
    return chars


def _unfinished(finish: object, message: dict[str, Any]) -> Fault | None:
    if finish == "" and message.get("tool_calls"):
        return None  # why: xAI has ended tool calls with an empty reason
    if not isinstance(finish, str) or not finish:
        return Fault(CallOutcome.TRUNCATED, "no_finish_reason")
    if finish in _BROKEN_FINISH:
        return Fault(CallOutcome.SERVER_ERROR, finish)
    return None


def _embedded(value: dict[str, Any]) -> int | Fault:
    data = value.get("data")
    if not isinstance(data, list) or not data:
        return Fault(CallOutcome.GARBAGE, "no_embeddings")
    if any(not isinstance(entry, dict) or "embedding" not in entry for entry in data):
        return Fault(CallOutcome.GARBAGE, "no_embeddings")
    return 0


def _count(value: object) -> int:
    """Return a count; 0 for what is none."""
    if isinstance(value, int | float) and 0 < value <= _MAX_COUNT:
        return int(value)
    return 0


def _part(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _first_count(places: tuple[str, ...], *sources: dict[str, Any]) -> int:
    for source in sources:
        for place in places:
            if place in source:
                return _count(source[place])
    return 0


def read_usage(usage: dict[str, Any]) -> Tokens | None:
    """Return canonical counts (providers reference, 1.4), or None when there are none to read."""
    given = usage.get("prompt_tokens")
    if not isinstance(given, int | float) or not 0 <= given <= _MAX_COUNT:
        return None
    prompt, output = int(given), _count(usage.get("completion_tokens"))
    details = _part(usage.get("prompt_tokens_details"))
    reasoning = _count(_part(usage.get("completion_tokens_details")).get("reasoning_tokens"))
    if reasoning and usage.get("total_tokens") == prompt + output + reasoning:
        # why: xAI's completion_tokens leave reasoning out, everybody else's hold it
        output += reasoning
    cached = min(prompt, _first_count(_CACHED, details, usage))
    return Tokens(
        input=prompt,
        cached=cached,
        cache_write=min(prompt - cached, _first_count(_WRITTEN, details)),
        output=output,
        reasoning=min(output, reasoning),
    )


def _cost(usage: dict[str, Any]) -> Decimal | None:
    """What the provider itself says that the call cost, in USD."""
    ticks, cost = usage.get("cost_in_usd_ticks"), usage.get("cost")
    if isinstance(ticks, int):
        found = Decimal(ticks) / _TICKS_PER_USD
    elif isinstance(cost, int | float):
        found = Decimal(str(cost))
    else:
        return None
    return found.quantize(_COST_PLACES) if 0 <= found <= _MAX_COST_USD else None
