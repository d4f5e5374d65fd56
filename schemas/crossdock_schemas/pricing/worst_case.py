"""The tokens that a line can use at most, and its worst case in money. Pure.

Input: no tokenizer makes more tokens than a text has bytes, and the JSON around it outweighs what a chat template adds.
Images, audio and files stand for more tokens than their place in the text has bytes; each counts as MEDIA_TOKENS, more
than any provider's documented charge for one. An endpoint's context length bounds all of it.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from crossdock_schemas.money import Units, to_units
from crossdock_schemas.pricing.catalogue import Endpoint
from crossdock_schemas.pricing.prices import PER_MILLION

MEDIA_TOKENS = 40_000
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
_TEXT = ("text", "refusal")  # no set: a type may be anything, also what has no hash


TOOLS = ("tools", "functions", "web_search_options", "plugins")
"""The parameters that give a model something to call, by OpenAI's and OpenRouter's names."""


class Ask(NamedTuple):
    """Tokens of a line: at most `input`, at most `output` for each answer (0: no limit), and the count of answers."""

    input: int
    output: int = 0
    choices: int = 1
    tools: int = 0
    """1: it may call tools."""


def ask_embeddings(_: Mapping[str, Any], size: int) -> Ask:
    """Return what a body of `size` bytes asks for."""
    return Ask(min(size, MAX_TOKENS), 0, 0)


def ask_completion(body: Mapping[str, Any], size: int) -> Ask:
    """Return what `body`, of `size` bytes, asks for. An unsound value counts as not given."""
    media = _media(body.get("messages"))
    return Ask(
        input=min(size + media * MEDIA_TOKENS, MAX_TOKENS),
        output=output_of(body),
        choices=min(max(1, _count(body.get("n"))), MAX_CHOICES),
        tools=int(any(body.get(name) not in _NO_TOOLS for name in TOOLS)),
    )


def output_of(body: Mapping[str, Any]) -> int:
    """Return the tokens that `body` allows for one answer; 0: it sets no limit."""
    return max(_count(body.get(name)) for name in OUTPUT_LIMITS)


def _count(value: object) -> int:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if is_number and 0 < value <= MAX_TOKENS else 0  # type: ignore[operator,call-overload]


def _media(messages: object) -> int:
    if not isinstance(messages, list):
        return 0
    contents = (message.get("content") for message in messages if isinstance(message, dict))
    return sum(_is_media(part) for parts in contents if isinstance(parts, list) for part in parts)


def _is_media(part: object) -> bool:
    return isinstance(part, dict) and part.get("type") not in _TEXT


def output_limit(endpoint: Endpoint, cap: int | None = None) -> int:
    """Return how many tokens an answer of `endpoint` has at most, if the line sets no limit and policies `cap` it."""
    longest = endpoint.max_output_tokens or endpoint.context_length or UNLIMITED_OUTPUT
    return longest if cap is None else min(longest, cap)


def told_limit(endpoint: Endpoint, cap: int | None = None, *, is_limited: bool) -> int | None:
    """Return the limit that a call carries; None where what the model itself has at most is enough.

    `cap`: by policies. `is_limited`: budgets bind it, so some limit must hold.
    """
    own = endpoint.max_output_tokens or endpoint.context_length
    if own is None and is_limited:
        return output_limit(endpoint, cap)
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
        outputs = (ask.output or answer) * ask.choices
        worst = max(worst, inputs * input_ + outputs * output + request)
    return worst
