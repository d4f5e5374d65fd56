"""The tokens that a line can use at most, and its worst case in money. Pure.

Input: no tokenizer makes more tokens than a text has bytes, and the JSON around it outweighs what a chat template adds.
An image or a sound stands for more tokens than its place in the text has bytes: it counts as MEDIA_TOKENS, more than
any provider's documented charge for one. A file, a video or a part of an unknown type has no such bound: it counts as
FILE_TOKENS. An endpoint's context length bounds all of it.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pydantic_core import to_json

from crossdock_schemas.money import Units, to_units
from crossdock_schemas.pricing.catalogue import Endpoint
from crossdock_schemas.pricing.prices import PER_MILLION

MEDIA_TOKENS = 40_000
FILE_TOKENS = 2_000_000  # more than the context of any model that reads files
UNLIMITED_OUTPUT = 16_384
"""Output tokens at most where neither the line nor the catalogue sets a limit; a call under a budget carries it."""
MAX_TOKENS = 10_000_000  # of a line, or of an answer; no model takes or makes more
MAX_CHOICES = 1024
OUTPUT_LIMITS = ("max_tokens", "max_completion_tokens")
"""How OpenAI's API calls the limit of an answer."""
_NO_TOOLS: tuple[object, ...] = (
    None,
    False,
    [],
)  # an empty object of `web_search_options` asks for a search
# no sets: a type may be anything, also what has no hash
_TEXT = ("text", "refusal", "input_text", "output_text", "thinking")
_TEXT_FIELDS = {"type", "text", "refusal", "thinking", "signature", "cache_control", "annotations"}
_MEDIA = ("image_url", "input_image", "image", "input_audio")
_EXTRA = frozenset({"thinking", "thinking_budget", "reasoning", "prediction"})
_KEPT = frozenset({"store", "prompt_cache_retention"})

TOOLS = ("tools", "functions", "web_search_options", "plugins")
"""The parameters that give a model something to call, by OpenAI's and OpenRouter's names."""
_TOOLS = frozenset(TOOLS)


class Ask(NamedTuple):
    """Tokens of a line: at most `input`, at most `output` for each answer (0: no limit), and the count of answers."""

    input: int
    output: int = 0
    choices: int = 1
    tools: int = 0
    """1: it may call tools."""
    extra: int = 0
    """Output tokens of each answer beyond its limit: budgets of thinking, and predictions."""
    kept: int = 0
    """1: it asks the provider to keep data."""


def ask_embeddings(_: Mapping[str, Any], size: int) -> Ask:
    """Return what a body of `size` bytes asks for."""
    return Ask(min(size, MAX_TOKENS), 0, 0)


def ask_completion(body: Mapping[str, Any], size: int) -> Ask:
    """Return what `body`, of `size` bytes, asks for.

    An unsound limit counts as not given: such a call carries the limit that is held. An unsound number of answers
    counts as the highest one.
    """
    return Ask(
        input=min(size + _media_tokens(body.get("messages")), MAX_TOKENS),
        output=output_of(body),
        choices=max(_choices(body.get("n")), _choices(body.get("best_of"))),
        tools=0 if _TOOLS.isdisjoint(body) else _tools(body),
        extra=0 if _EXTRA.isdisjoint(body) else _extra(body),
        kept=0 if _KEPT.isdisjoint(body) else int(_is_kept(body)),
    )


def output_of(body: Mapping[str, Any]) -> int:
    """Return the tokens that `body` allows for one answer; 0: it sets no sound limit."""
    first, second = OUTPUT_LIMITS
    return max(_count(body.get(first)), _count(body.get(second)))


def _tools(body: Mapping[str, Any]) -> int:
    return int(any(body.get(name) not in _NO_TOOLS for name in TOOLS))


def _count(value: object) -> int:
    return value if type(value) is int and 0 < value <= MAX_TOKENS else 0


def _choices(value: object) -> int:
    if value is None:
        return 1
    return min(_count(value) or MAX_CHOICES, MAX_CHOICES)


def _extra(body: Mapping[str, Any]) -> int:
    """Return the tokens that an answer may have beyond its limit. Rejected tokens of a prediction are output too."""
    thinking, reasoning = body.get("thinking"), body.get("reasoning")
    budgets = (
        thinking.get("budget_tokens") if isinstance(thinking, dict) else None,
        reasoning.get("max_tokens") if isinstance(reasoning, dict) else None,
        body.get("thinking_budget"),
    )
    prediction = body.get("prediction")
    predicted = 0 if prediction is None else len(to_json(prediction))
    return min(sum(map(_count, budgets)) + predicted, MAX_TOKENS)


def _is_kept(body: Mapping[str, Any]) -> bool:
    is_stored = body.get("store") not in (None, False)
    return is_stored or body.get("prompt_cache_retention") not in (None, "in_memory", "in-memory")


def _media_tokens(messages: object) -> int:
    if not isinstance(messages, list):
        return 0
    tokens = 0
    for message in messages:
        if isinstance(message, dict):
            content = message.get("content")
            if isinstance(content, list):
                tokens += sum(map(_part_tokens, content))
            elif isinstance(content, dict):
                tokens += FILE_TOKENS
            if message.get("audio") is not None:  # the id of an earlier answer's sound
                tokens += FILE_TOKENS
    return tokens


def _part_tokens(part: object) -> int:
    if not isinstance(part, dict):
        return 0
    kind = part.get("type")
    if kind in _TEXT and part.keys() <= _TEXT_FIELDS:
        return 0
    return MEDIA_TOKENS if kind in _MEDIA else FILE_TOKENS


def output_limit(endpoint: Endpoint, cap: int | None = None) -> int:
    """Return how many tokens an answer of `endpoint` has at most, if the line sets no limit and policies `cap` it."""
    longest = endpoint.max_output_tokens or endpoint.context_length or UNLIMITED_OUTPUT
    return longest if cap is None else min(longest, cap)


def told_limit(
    endpoint: Endpoint, cap: int | None = None, *, is_limited: bool, input_most: int = 0
) -> int | None:
    """Return the limit that a call carries if its line sets none; None: the model's own maximum is enough.

    `cap`: by policies. `is_limited`: budgets bind it, so the call always carries a limit that the hold covers. Where
    only the context is known, question and answer share it: providers refuse a limit that does not fit beside the
    question, which has `input_most` tokens at most and seldom more than a quarter of that.
    """
    if is_limited:
        limit, context = output_limit(endpoint, cap), endpoint.context_length
        if endpoint.max_output_tokens is None and context is not None:
            return min(limit, max(context - input_most, context // 4, 1))
        return limit
    own = endpoint.max_output_tokens or endpoint.context_length
    return cap if own is None or (cap is not None and cap < own) else None


class Rates(NamedTuple):
    """The highest rates of an endpoint, in units of 1e-12 USD."""

    context: int | None
    """Tokens of input that it takes; None: unknown."""
    answer: int
    """Tokens of an answer, if the line sets no limit."""
    input: Units
    """For a token of input."""
    output: Units
    """For a token of an answer."""
    request: Units


def rates_of(endpoint: Endpoint, cap: int | None = None) -> Rates:
    """Return what `endpoint` charges at most; `cap`: by policies, for answers where the line sets no limit."""
    prices = endpoint.prices
    return Rates(
        context=endpoint.context_length,
        answer=output_limit(endpoint, cap),
        input=to_units(prices.dearest_input * PER_MILLION),
        output=to_units(prices.output * PER_MILLION),
        request=to_units(prices.request),
    )


def worst_case(ask: Ask, rates: Iterable[Rates]) -> Units:
    """Return what one successful call for `ask` costs at most at the dearest of `rates`, exactly."""
    worst = 0
    for context, answer, input_, output, request in rates:
        inputs = min(ask.input, context or ask.input)
        outputs = ((ask.output or answer) + ask.extra) * ask.choices
        worst = max(worst, inputs * input_ + outputs * output + request)
    return worst
