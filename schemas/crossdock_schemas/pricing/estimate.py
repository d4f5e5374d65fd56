"""The estimated cost of a batch before it runs. Pure.

`worst_usd` is a bound: the hold for all lines at once, at the highest price of each part. `likely_usd` counts four
bytes a token, answers as long as the account's latest ones from the same model (else a rule of thumb), and endpoints
with the router's probabilities. `low_usd` is the cheapest endpoint without any answer.
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
USUAL_OUTPUT = 256  # tokens of an answer without a history of the model
_FREE = Decimal("0.000001")


class Estimate(Message):
    """USD, all lines together."""

    low_usd: Decimal
    likely_usd: Decimal
    worst_usd: Decimal
    is_from_history: bool
    """Lengths of all models' answers come from earlier ones of the account."""

    def figures(self) -> dict[str, object]:
        """Return the figures as the API and the command line show them."""
        return {
            name: usd_text(value) if isinstance(value, Decimal) else value for name, value in self
        }


@dataclass
class AskTotals:
    """Totals of the lines of one model."""

    lines: int = 0
    bytes: int = 0
    input_most: int = 0
    answers: int = 0
    limited: int = 0
    """Answers with a limit in their line."""
    output_most: int = 0
    """Sum of these limits, in tokens, and of what answers may have beyond limits."""

    def add(self, ask: Ask, size: int) -> None:
        """Count a line of `size` bytes."""
        self.lines += 1
        self.bytes += size
        self.input_most += ask.input
        self.answers += ask.choices
        self.output_most += (ask.output + ask.extra) * ask.choices
        if ask.output:
            self.limited += ask.choices


def estimate(
    sums: Mapping[str, AskTotals],
    serving: Mapping[str, Sequence[Endpoint]],
    usual_output: Mapping[str, float],
) -> Estimate:
    """Return the estimate for lines by model: with the endpoints that serve it, and the usual length of its answers."""
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


def _low(sums: AskTotals, endpoints: Sequence[Endpoint]) -> Decimal:
    tokens = sums.bytes // BYTES_PER_TOKEN
    return min(
        tokens * e.prices.input * PER_MILLION + sums.lines * e.prices.request for e in endpoints
    )


def _likely(sums: AskTotals, endpoints: Sequence[Endpoint], usual: float) -> Decimal:
    """Return the mean over the endpoints, weighted as the router does, by one over the price squared."""
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


def _worst(sums: AskTotals, endpoints: Sequence[Endpoint]) -> Decimal:
    longest = max(output_limit(e) for e in endpoints)
    outputs = sums.output_most + (sums.answers - sums.limited) * longest
    inputs = sums.input_most
    tokens = inputs * max(e.prices.dearest_input for e in endpoints) + outputs * max(
        e.prices.output for e in endpoints
    )
    return tokens * PER_MILLION + sums.lines * max(e.prices.request for e in endpoints)
