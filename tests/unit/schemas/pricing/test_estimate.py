"""What a batch may cost: bounds hold whatever the lines are, and the middle lies between them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock_schemas.money import to_usd
from crossdock_schemas.pricing.catalogue import Endpoint
from crossdock_schemas.pricing.estimate import USUAL_OUTPUT, AskTotals, estimate
from crossdock_schemas.pricing.prices import Prices
from crossdock_schemas.pricing.worst_case import Ask, rates_of, worst_case


def make_endpoint(prompt: str = "1", completion: str = "4", **fields: object) -> Endpoint:
    prices = Prices(input=Decimal(prompt), output=Decimal(completion), request=Decimal("0.001"))
    values = {"provider": "atlas", "model": "tern", "upstream_model": "tern", "operations": ()}
    return Endpoint(**values | {"prices": prices, "max_output_tokens": 1000} | fields)


def sums_of(*lines: tuple[Ask, int]) -> AskTotals:
    sums = AskTotals()
    for ask, size in lines:
        sums.add(ask, size)
    return sums


def test_it_is_reckoned_as_it_says() -> None:
    sums = sums_of((Ask(400, 100), 400), (Ask(400), 400))

    found = estimate({"tern": sums}, {"tern": [make_endpoint()]}, {"tern": 50.0})

    assert found.low_usd == 200 * Decimal("0.000001") + Decimal("0.002")
    assert found.likely_usd == (200 + 100 * 4) * Decimal("0.000001") + Decimal("0.002")
    assert found.worst_usd == (800 + 1100 * 4) * Decimal("0.000001") + Decimal("0.002")
    assert found.is_from_history


def test_without_history_a_rule_of_thumb_stands_in_and_is_told() -> None:
    found = estimate({"tern": sums_of((Ask(4), 4))}, {"tern": [make_endpoint()]}, {})

    assert found.likely_usd == (1 + USUAL_OUTPUT * 4) * Decimal("0.000001") + Decimal("0.001")
    assert not found.is_from_history


def test_a_lines_own_limit_bounds_what_is_likely() -> None:
    found = estimate({"tern": sums_of((Ask(4, 10), 4))}, {"tern": [make_endpoint()]}, {"tern": 500})

    assert found.likely_usd == (1 + 10 * 4) * Decimal("0.000001") + Decimal("0.001")


def test_cheap_endpoints_are_likelier() -> None:
    """At half the price four times as often."""
    serving = {"tern": [make_endpoint("0", "1"), make_endpoint("0", "2")]}

    found = estimate({"tern": sums_of((Ask(4, 10), 4))}, serving, {"tern": 10})

    assert found.likely_usd == Decimal(10) * 6 / 5 * Decimal("0.000001") + Decimal("0.001")


LINES = st.lists(
    st.tuples(
        st.builds(
            Ask,
            st.integers(4, 10**6),
            st.integers(0, 900),
            st.integers(1, 4),
            extra=st.integers(0, 90),
            kept=st.integers(0, 1),
        ),
        st.integers(4, 10**6),
    ).map(lambda line: (line[0]._replace(input=max(line[0].input, line[1])), line[1])),
    min_size=1,
    max_size=20,
)
PRICES = st.integers(0, 10**7).map(lambda n: str(Decimal(n).scaleb(-6)))
ENDPOINTS = st.lists(st.builds(make_endpoint, PRICES, PRICES), min_size=1, max_size=4)


@given(LINES, ENDPOINTS, st.floats(0, 900))
def test_low_likely_worst_are_in_order_and_the_worst_is_a_bound(
    lines: list[tuple[Ask, int]], endpoints: list[Endpoint], usual: float
) -> None:
    found = estimate({"tern": sums_of(*lines)}, {"tern": endpoints}, {"tern": usual})

    slack = Decimal("1e-9")  # a mean is rounded
    assert found.low_usd <= found.likely_usd + slack
    assert found.likely_usd <= found.worst_usd + slack
    worst = sum(worst_case(ask, map(rates_of, endpoints)) for ask, _ in lines)
    assert to_usd(worst) <= found.worst_usd


@pytest.mark.parametrize("embeddings", [Ask(100, 0, 0)])
def test_embeddings_have_no_answers(embeddings: Ask) -> None:
    found = estimate({"wren": sums_of((embeddings, 100))}, {"wren": [make_endpoint()]}, {})

    assert found.worst_usd == Decimal("0.0011")
    assert found.likely_usd == Decimal("0.001025")
