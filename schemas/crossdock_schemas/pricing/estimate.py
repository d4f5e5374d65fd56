"""What a batch may cost, before it runs. Pure.

`worst_usd` is a bound: what would be held if all lines ran at once, with the dearest endpoint for every part of it.
`likely_usd` takes a token for four bytes, answers as long as the account's latest ones from the same model (else a rule
of thumb), and endpoints as often as the router draws them. `low_usd` is the cheapest endpoint and no answer at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from crossdock_schemas.message import Message
from crossdock_schemas.money import usd_text
from crossdock_schemas.pricing.catalogue import Endpoint
from crossdock_schemas.pricing.prices import COST_PLACES, PER_MILLION
from crossdock_schemas.pricing.worst_case import Ask, output_limit

BYTES_PER_TOKEN = 4  # OpenAI's rule of thumb for English text
USUAL_OUTPUT = 256  # tokens of an answer, where nothing is known of a model
_FREE = Decimal("0.000001")


class Estimate(Message):
    """USD, all lines together."""

    low_usd: Decimal
    likely_usd: Decimal
    worst_usd: Decimal
    is_from_history: bool
    """Every model's answers are taken to be as long as earlier ones of the account."""

    def figures(self) -> dict[str, object]:
        """Return it as the API and the command line show it."""
        return {
            "low_usd": usd_text(self.low_usd),
            "likely_usd": usd_text(self.likely_usd),
            "worst_usd": usd_text(self.worst_usd),
            "is_from_history": self.is_from_history,
        }


@dataclass
class Sums:
    """What the lines of one model ask for, together."""

    lines: int = 0
    bytes: int = 0
    input_most: int = 0
    answers: int = 0
    limited: int = 0
    """Answers whose length their line limits."""
    output_most: int = 0
    """Tokens of those at most."""

    def add(self, ask: Ask, size: int) -> None:
        """Count a line of `size` bytes."""
        self.lines += 1
        self.bytes += size
        self.input_most += ask.input
        self.answers += ask.choices
        if ask.output:
            self.limited += ask.choices
            self.output_most += ask.output * ask.choices


def estimate(
    sums: Mapping[str, Sums],
    serving: Mapping[str, Sequence[Endpoint]],
    usual_output: Mapping[str, float],
) -> Estimate:
    """Return the estimate for lines by model: with the endpoints that serve it, and its answers' usual length."""
    low = likely = worst = Decimal(0)
    for model, of_model in sums.items():
        endpoints = serving[model]
        usual = usual_output.get(model, USUAL_OUTPUT)
        low += _low(of_model, endpoints)
        likely += _likely(of_model, endpoints, usual)
        worst += _worst(of_model, endpoints)
    return Estimate(
        low_usd=_rounded(low),
        likely_usd=_rounded(likely),
        worst_usd=_rounded(worst),
        is_from_history=all(model in usual_output for model in sums),
    )


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(COST_PLACES).normalize()


def _low(sums: Sums, endpoints: Sequence[Endpoint]) -> Decimal:
    tokens = sums.bytes // BYTES_PER_TOKEN
    return min(
        tokens * e.prices.input * PER_MILLION + sums.lines * e.prices.request for e in endpoints
    )


def _likely(sums: Sums, endpoints: Sequence[Endpoint], usual: float) -> Decimal:
    """Return the mean over the endpoints, each weighed as the router does: by one over its price squared."""
    inputs = Decimal(sums.bytes) / BYTES_PER_TOKEN
    unlimited = (sums.answers - sums.limited) * Decimal(usual)
    outputs = unlimited + min(sums.limited * Decimal(usual), Decimal(sums.output_most))
    weights = [max(_FREE, e.prices.input + e.prices.output) ** -2 for e in endpoints]
    costs = [
        (inputs * e.prices.input + outputs * e.prices.output) * PER_MILLION
        + sums.lines * e.prices.request
        for e in endpoints
    ]
    return sum((w * c for w, c in zip(weights, costs, strict=True)), Decimal(0)) / sum(weights)


def _worst(sums: Sums, endpoints: Sequence[Endpoint]) -> Decimal:
    longest = max(output_limit(e) for e in endpoints)
    outputs = sums.output_most + (sums.answers - sums.limited) * longest
    inputs = sums.input_most
    tokens = inputs * max(e.prices.dearest_input for e in endpoints) + outputs * max(
        e.prices.output for e in endpoints
    )
    return tokens * PER_MILLION + sums.lines * max(e.prices.request for e in endpoints)
