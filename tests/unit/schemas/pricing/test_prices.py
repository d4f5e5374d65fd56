"""Cost is exact, to the last of 12 decimal places, and adds up."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from crossdock_schemas.pricing.prices import COST_PLACES, Cost, Prices, price_tokens
from crossdock_schemas.tokens import Tokens

RATES = st.decimals(0, 1000, places=6)
COUNTS = st.integers(0, 10_000_000)


@st.composite
def tokens(draw: st.DrawFn) -> Tokens:
    fresh, cached, written, output = (draw(COUNTS) for _ in range(4))
    return Tokens(input=fresh + cached + written, cached=cached, cache_write=written, output=output)


PRICES = st.builds(
    Prices, input=RATES, output=RATES, cached=st.none() | RATES, cache_write=st.none() | RATES
)


@given(tokens(), PRICES)
def test_a_cost_is_exact_in_twelve_places(used: Tokens, prices: Prices) -> None:
    total = price_tokens(used, prices).total

    assert total == total.quantize(COST_PLACES)
    cached = prices.input if prices.cached is None else prices.cached
    written = prices.input if prices.cache_write is None else prices.cache_write
    fresh = used.input - used.cached - used.cache_write
    in_millionths = (
        fresh * prices.input
        + used.cached * cached
        + used.cache_write * written
        + used.output * prices.output
    )
    assert total * 1_000_000 == in_millionths


@given(tokens(), tokens(), PRICES)
def test_two_calls_cost_what_their_tokens_cost_together(
    one: Tokens, other: Tokens, prices: Prices
) -> None:
    together = price_tokens(one + other, prices).total

    assert price_tokens(one, prices).total + price_tokens(other, prices).total == together


def test_cached_input_has_its_own_price() -> None:
    used = Tokens(input=1_000_000, cached=400_000, cache_write=100_000, output=2_000_000)
    prices = Prices(
        input=Decimal(2), output=Decimal(8), cached=Decimal("0.5"), cache_write=Decimal("2.5")
    )

    cost = price_tokens(used, prices)

    assert (cost.input, cost.output) == (Decimal("1.45"), Decimal(16))


def test_a_call_that_failed_has_no_fee() -> None:
    prices = Prices(request=Decimal("0.01"))

    assert price_tokens(Tokens(), prices).total == Decimal("0.01")
    assert price_tokens(Tokens(), prices, succeeded=False) == Cost()


@pytest.mark.parametrize("rate", ["-0.1", "0.0000001", "NaN"])
def test_a_rate_that_would_not_be_exact_is_refused(rate: str) -> None:
    with pytest.raises(ValidationError):
        Prices(input=Decimal(rate))


def test_tokens_add_up_by_kind() -> None:
    one = Tokens(input=1, cached=2, cache_write=3, output=4, reasoning=5)

    assert one + one == Tokens(input=2, cached=4, cache_write=6, output=8, reasoning=10)
    assert (one + one).total == 10


def test_a_cost_is_cut_to_what_covers_it() -> None:
    cost = Cost(input=Decimal(3), output=Decimal(5), request=Decimal(1))

    assert cost.within(Decimal(9)) == cost
    assert cost.within(Decimal(2)) == Cost(input=Decimal(1), output=Decimal(0), request=Decimal(1))
