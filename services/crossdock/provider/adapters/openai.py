"""The OpenAI-shaped wire format (providers reference, section 1). Pure."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from math import ceil
from typing import Any

from pydantic_core import from_json, to_json

from crossdock.provider.adapters.types import (
    BrokenAnswer,
    ProviderAnswer,
    ProviderCall,
    ProviderError,
    UnreadableLineError,
)
from crossdock_schemas.accounts.demands import FIELD, MODELS
from crossdock_schemas.calls.usage import CallOutcome
from crossdock_schemas.operations import SPECS, AnswerKind
from crossdock_schemas.parcel.plan import Candidate
from crossdock_schemas.pricing.worst_case import OUTPUT_LIMITS, output_of
from crossdock_schemas.tokens import Tokens

_TICKS_PER_USD = Decimal(10) ** 10  # xAI's usage.cost_in_usd_ticks
_BROKEN_FINISH = frozenset({"error", "insufficient_system_resource", "network_error"})
_MAX_COUNT = 10**12  # tokens of one call; a greater figure is not a count
_MAX_COST_USD = 10**9
_COST_PLACES = Decimal("1e-12")
_OURS = ("stream", "stream_options", FIELD, MODELS)
"""Fields of a body that Crossdock reads and no provider is sent."""
_CACHED = ("num_cached_tokens", "prompt_cache_hit_tokens", "cached_tokens")
_WRITTEN = ("cache_write_tokens", "cache_creation_input_tokens")
MAX_MESSAGE = 2000  # characters of a provider's message that are passed on
MAX_ERROR_BODY = 65_536


def url(base_url: str, operation: str, _model: str) -> str:
    """Return the address of calls; the catalogue's base URL holds the version."""
    return base_url.rstrip("/") + operation.removeprefix("/v1")


def make_call(line: bytes, candidate: Candidate) -> ProviderCall:
    """See `Adapter.make_call`."""
    try:
        value = from_json(line)
        custom_id, body = value["custom_id"], value["body"]
        body["model"] = candidate.upstream_model
        for ours in _OURS:
            body.pop(ours, None)
        if candidate.output_limit and "messages" in body and not output_of(body):
            kept = {name: value for name, value in body.items() if name not in OUTPUT_LIMITS}
            body = kept | {candidate.max_tokens_parameter: candidate.output_limit}
        sent = to_json(body)
        if b"Infinity" in sent or b"NaN" in sent:  # JSON has no number such as 1e400
            from_json(sent, allow_inf_nan=False)
        return ProviderCall(str(custom_id), sent)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableLineError(repr(error)[:200]) from None


def read_answer(operation: str, content: bytes) -> ProviderAnswer | BrokenAnswer:
    """See `Adapter.read_answer`."""
    try:
        value = from_json(content, allow_inf_nan=False)
    except ValueError as error:
        is_cut = "EOF" in str(error) and content.lstrip()[:1] in (b"{", b"[")
        return BrokenAnswer(CallOutcome.TRUNCATED if is_cut else CallOutcome.GARBAGE, "broken_json")
    if not isinstance(value, dict):
        return BrokenAnswer(CallOutcome.GARBAGE, "not_an_object")
    if value.get("error"):
        return BrokenAnswer(CallOutcome.SERVER_ERROR, "error_in_200")
    chars = _CHECKS[SPECS[operation].answer](value)
    if isinstance(chars, BrokenAnswer):
        return chars
    body = content if b"\n" not in content else to_json(value)
    usage = value.get("usage")
    if not isinstance(usage, dict):
        return ProviderAnswer(body, None, chars, None)
    return ProviderAnswer(body, read_usage(usage), chars, _cost(usage))


def _check_completion(value: dict[str, Any]) -> int | BrokenAnswer:
    choices = value.get("choices")
    if not isinstance(choices, list) or not choices:
        return BrokenAnswer(CallOutcome.GARBAGE, "no_choices")
    chars = 0
    for choice in choices:
        if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
            return BrokenAnswer(CallOutcome.GARBAGE, "no_message")
        fault = _unfinished(choice.get("finish_reason"), choice["message"])
        if fault is not None:
            return fault
        content = choice["message"].get("content")
        chars += len(content) if isinstance(content, str) else 0
    return chars


def _unfinished(finish: object, message: dict[str, Any]) -> BrokenAnswer | None:
    if finish == "" and message.get("tool_calls"):
        return None  # why: xAI has ended tool calls with an empty reason
    if not isinstance(finish, str) or not finish:
        return BrokenAnswer(CallOutcome.TRUNCATED, "no_finish_reason")
    if finish in _BROKEN_FINISH:
        return BrokenAnswer(CallOutcome.SERVER_ERROR, finish)
    return None


def _check_embeddings(value: dict[str, Any]) -> int | BrokenAnswer:
    data = value.get("data")
    if not isinstance(data, list) or not data:
        return BrokenAnswer(CallOutcome.GARBAGE, "no_embeddings")
    if any(not isinstance(entry, dict) or "embedding" not in entry for entry in data):
        return BrokenAnswer(CallOutcome.GARBAGE, "no_embeddings")
    return 0


_CHECKS: Mapping[AnswerKind, Callable[[dict[str, Any]], int | BrokenAnswer]] = {
    AnswerKind.COMPLETION: _check_completion,
    AnswerKind.EMBEDDINGS: _check_embeddings,
}
"""Return the characters of an answer's output, or how it is broken."""


def _read_count(value: Any) -> int | None:
    """Return `value` as a count; None if it is not one. Cohere's are floats."""
    if type(value) in {int, float} and 0 <= value <= _MAX_COUNT:
        count: int = ceil(value)
        return count
    return None


def _count(value: object) -> int:
    return _read_count(value) or 0


def _part(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _first_count(places: tuple[str, ...], *sources: dict[str, Any]) -> int:
    for source in sources:
        for place in places:
            if place in source:
                return _count(source[place])
    return 0


def read_usage(usage: dict[str, Any]) -> Tokens | None:
    """Return canonical counts (providers reference, 1.4); None if one of the two that cost is not a count."""
    completion = usage.get("completion_tokens")
    prompt = _read_count(usage.get("prompt_tokens"))
    output = 0 if completion is None else _read_count(completion)
    if prompt is None or output is None:
        return None
    details = _part(usage.get("prompt_tokens_details"))
    reasoning = _count(_part(usage.get("completion_tokens_details")).get("reasoning_tokens"))
    if reasoning and usage.get("total_tokens") == prompt + output + reasoning:
        # why: xAI's completion_tokens leave reasoning out, those of other providers include it
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
    """Return the cost that the provider reports, in USD."""
    ticks, cost = usage.get("cost_in_usd_ticks"), usage.get("cost")
    if isinstance(ticks, int):
        found = Decimal(ticks) / _TICKS_PER_USD
    elif isinstance(cost, int | float):
        found = Decimal(str(cost))
    else:
        return None
    return found.quantize(_COST_PLACES) if 0 <= found <= _MAX_COST_USD else None


def read_error(content: bytes) -> ProviderError:
    """See `Adapter.read_error`."""
    try:
        value = from_json(content)
    except ValueError:
        return ProviderError("", "", content[:200].decode("utf-8", "replace"))
    if isinstance(value, list) and value:
        value = value[0]  # Gemini's compatible API wraps its error in a list
    error: Any = value.get("error", value) if isinstance(value, dict) else {}
    if not isinstance(error, dict):
        return ProviderError("", "", str(error)[:MAX_MESSAGE])
    code = error.get("code")
    return ProviderError(
        str(code)[:100] if code is not None else "",
        str(error.get("type") or "")[:100],
        str(error.get("message") or "")[:MAX_MESSAGE],
    )


def error_envelope(content: bytes) -> bytes | None:
    """See `Adapter.error_envelope`."""
    if len(content) > MAX_ERROR_BODY:
        return None
    try:
        value = from_json(content, allow_inf_nan=False)
    except ValueError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("error"), dict):
        return None
    given = value["error"]
    return to_json({"error": {"message": "", "type": None, "param": None, "code": None} | given})
