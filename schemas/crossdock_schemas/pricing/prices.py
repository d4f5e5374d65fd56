"""Prices: USD per million tokens, exact; and the one function that turns tokens into money."""

from decimal import Decimal
from functools import cached_property
from typing import Annotated

from pydantic import Field

from crossdock_schemas.message import Message
from crossdock_schemas.tokens import Tokens

PER_MILLION = Decimal("0.000001")
COST_PLACES = Decimal("1e-12")  # as ClickHouse's Decimal(38, 12)

Rate = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=6)]
"""USD per million tokens. At most 6 decimal places, so that a cost is exact in 12."""


class Prices(Message):
    """Prices of an endpoint. `cached` and `cache_write` default to `input`."""

    version: str = "1"
    input: Rate = Decimal(0)
    output: Rate = Decimal(0)
    cached: Rate | None = None
    cache_write: Rate | None = None
    request: Rate = Decimal(0)
    """USD per call that succeeded."""

    @cached_property
    def dearest_input(self) -> Decimal:
        """The highest rate that a token of input can be charged at."""
        return max(r for r in (self.input, self.cached, self.cache_write) if r is not None)


class Cost(Message):
    """USD by kind, each exact to 12 places."""

    input: Decimal = Decimal(0)
    output: Decimal = Decimal(0)
    request: Decimal = Decimal(0)

    @property
    def total(self) -> Decimal:
        return self.input + self.output + self.request

    def within(self, most: Decimal) -> "Cost":
        """Return the parts of it that `most` covers: the call, then its input, then its output."""
        if self.total <= most:
            return self
        request = min(self.request, most)
        inputs = min(self.input, most - request)
        return Cost(input=inputs, output=most - request - inputs, request=request)


def price_tokens(tokens: Tokens, prices: Prices, *, succeeded: bool = True) -> Cost:
    """Return the exact cost of `tokens` at `prices`: fresh, cached and written input, output, and the call."""
    cached = prices.input if prices.cached is None else prices.cached
    written = prices.input if prices.cache_write is None else prices.cache_write
    fresh = tokens.input - tokens.cached - tokens.cache_write
    inputs = fresh * prices.input + tokens.cached * cached + tokens.cache_write * written
    return Cost(
        input=inputs * PER_MILLION,
        output=tokens.output * prices.output * PER_MILLION,
        request=prices.request if succeeded else Decimal(0),
    )
