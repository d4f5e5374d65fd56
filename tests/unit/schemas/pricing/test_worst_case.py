"""What a line asks for at most is never less than what it can get, and its price never less than its cost."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock_schemas.money import to_usd
from crossdock_schemas.operations import CHAT, EMBEDDINGS
from crossdock_schemas.pricing.catalogue import Endpoint
from crossdock_schemas.pricing.prices import COST_PLACES, Prices, price_tokens
from crossdock_schemas.pricing.worst_case import (
    FILE_TOKENS,
    MAX_CHOICES,
    MAX_TOKENS,
    MEDIA_TOKENS,
    UNLIMITED_OUTPUT,
    Ask,
    output_limit,
    rates_of,
    told_limit,
    worst_case,
)
from crossdock_schemas.tokens import Tokens

SIZE = 300
RATES = st.decimals(0, Decimal("999999.999999"), places=6)
PRICES = st.builds(
    Prices,
    input=RATES,
    output=RATES,
    cached=st.none() | RATES,
    cache_write=st.none() | RATES,
    request=RATES,
)
LENGTHS = st.none() | st.integers(1, 2_000_000)
ENDPOINTS = st.builds(
    Endpoint,
    provider=st.just("atlas"),
    model=st.just("tern"),
    upstream_model=st.just("tern"),
    operations=st.just(("/v1/chat/completions",)),
    context_length=LENGTHS,
    max_output_tokens=LENGTHS,
    prices=PRICES,
)
ASKS = st.builds(
    Ask,
    st.integers(0, MAX_TOKENS),
    st.integers(0, MAX_TOKENS),
    st.integers(0, MAX_CHOICES),
    extra=st.integers(0, MAX_TOKENS),
)
GARBAGE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["type", "content", "text", "other"]), inner, max_size=3
    ),
    max_leaves=8,
)  # fmt: skip


def dearest(ask: Ask, endpoints: Iterable[Endpoint], cap: int | None = None) -> Decimal:
    return to_usd(worst_case(ask, [rates_of(endpoint, cap) for endpoint in endpoints]))


def make_body(**changes: Any) -> dict[str, Any]:
    return {"model": "tern", "messages": [{"role": "user", "content": "hello"}]} | changes


def make_endpoint(**changes: Any) -> Endpoint:
    values: dict[str, Any] = {
        "provider": "atlas",
        "model": "tern",
        "upstream_model": "tern",
        "operations": ("/v1/chat/completions",),
        "prices": Prices(input=Decimal(1), output=Decimal(10)),
    }
    return Endpoint(**(values | changes))


def with_parts(*parts: object) -> dict[str, Any]:
    return make_body(messages=[{"role": "user", "content": list(parts)}])


def test_a_text_has_no_more_tokens_than_bytes() -> None:
    assert CHAT.ask(make_body(), SIZE) == Ask(input=SIZE, output=0, choices=1)


def test_embeddings_have_no_answer_to_pay_for() -> None:
    assert EMBEDDINGS.ask({"model": "tern", "input": "hello"}, SIZE) == Ask(SIZE, 0, 0)


def test_a_size_beyond_all_bounds_is_cut() -> None:
    assert CHAT.ask(make_body(), MAX_TOKENS + 1).input == MAX_TOKENS
    assert EMBEDDINGS.ask({"input": "x"}, MAX_TOKENS + 1).input == MAX_TOKENS


@pytest.mark.parametrize(
    ("limits", "output"),
    [
        pytest.param({"max_tokens": 7}, 7, id="the old name"),
        pytest.param({"max_completion_tokens": 7}, 7, id="the new name"),
        pytest.param({"max_tokens": 7, "max_completion_tokens": 9}, 9, id="the higher of both"),
        pytest.param({"max_tokens": 7.9}, 0, id="a fraction"),
        pytest.param({"max_tokens": MAX_TOKENS}, MAX_TOKENS, id="the highest"),
        pytest.param({"max_tokens": MAX_TOKENS + 1}, 0, id="too high"),
    ],
)
def test_an_answer_is_as_long_as_the_line_allows(limits: dict[str, Any], output: int) -> None:
    assert CHAT.ask(make_body(**limits), SIZE).output == output


@pytest.mark.parametrize(
    "value",
    [None, True, "7", -7, 0, 0.5, float("nan"), float("inf"), [7], {"a": 7}],
    ids=repr,
)
def test_a_limit_that_is_no_sound_number_counts_as_not_given(value: object) -> None:
    """Such a body is refused; if one comes by another way, its call carries the limit that is held."""
    body = make_body(max_tokens=value, max_completion_tokens=value)

    assert CHAT.ask(body, SIZE) == Ask(SIZE, 0, 1)


@pytest.mark.parametrize("name", ["n", "best_of"])
@pytest.mark.parametrize(
    "value", [True, "7", -7, 0, 0.5, 2.0, float("nan"), float("inf"), [7], {"a": 7}], ids=repr
)
def test_a_number_of_answers_that_is_not_understood_counts_as_the_highest(
    name: str, value: object
) -> None:
    assert CHAT.ask(make_body(**{name: value}), SIZE) == Ask(SIZE, 0, MAX_CHOICES)


@pytest.mark.parametrize(
    ("body", "extra"),
    [
        pytest.param({"thinking": {"type": "enabled", "budget_tokens": 7}}, 7, id="thinking"),
        pytest.param({"thinking_budget": 7}, 7, id="a budget of thinking"),
        pytest.param({"reasoning": {"max_tokens": 7}, "thinking_budget": 2}, 9, id="two budgets"),
        pytest.param({"reasoning": {"effort": "high"}, "thinking": None}, 0, id="no budget"),
        pytest.param({"prediction": {"type": "content", "content": "éé"}}, 35, id="a prediction"),
    ],
)
def test_an_answer_may_be_longer_than_its_limit_by_what_the_line_says(
    body: dict[str, Any], extra: int
) -> None:
    ask = CHAT.ask(make_body(max_tokens=5, n=2, **body), SIZE)

    assert ask == Ask(SIZE, 5, 2, extra=extra)
    assert dearest(ask._replace(input=0), [make_endpoint()]) == 2 * (5 + extra) * Decimal("0.00001")


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ({"store": True}, 1),
        ({"store": "yes"}, 1),
        ({"store": False}, 0),
        ({"prompt_cache_retention": "24h"}, 1),
        ({"prompt_cache_retention": "in_memory"}, 0),
        ({}, 0),
    ],
    ids=repr,
)
def test_a_line_may_ask_the_provider_to_keep_data(body: dict[str, Any], kept: int) -> None:
    assert CHAT.ask(make_body(**body), SIZE).kept == kept


@pytest.mark.parametrize(("n", "choices"), [(1, 1), (4, 4), (10**6, MAX_CHOICES)])
def test_every_answer_that_is_asked_for_counts(n: int, choices: int) -> None:
    assert CHAT.ask(make_body(n=n), SIZE).choices == choices


@pytest.mark.parametrize(
    ("parts", "media"),
    [
        pytest.param([{"type": "text", "text": "hi"}], 0, id="text"),
        pytest.param([{"type": "refusal", "refusal": "no"}], 0, id="a refusal"),
        pytest.param([{"type": "image_url"}, {"type": "input_audio"}], 2, id="an image and audio"),
        pytest.param(["text", 7, None], 0, id="no parts at all"),
        pytest.param(
            [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}], 0, id="marked"
        ),
    ],
)
def test_media_stand_for_more_tokens_than_they_have_bytes(parts: list[object], media: int) -> None:
    assert CHAT.ask(with_parts(*parts), SIZE).input == SIZE + media * MEDIA_TOKENS


@pytest.mark.parametrize(
    "message",
    [
        pytest.param({"content": [{"type": "file", "file": {"file_id": "a"}}]}, id="a file"),
        pytest.param({"content": [{"type": "video_url"}]}, id="a video"),
        pytest.param({"content": [{"type": "of tomorrow"}]}, id="what nobody knows"),
        pytest.param({"content": [{}]}, id="no type"),
        pytest.param({"content": [{"type": ["text"]}]}, id="a type that is none"),
        pytest.param(
            {"content": [{"type": "text", "image_url": {"url": "x"}}]}, id="a text with more"
        ),
        pytest.param({"content": {"type": "text"}}, id="a content that is none"),
        pytest.param({"content": "hi", "audio": {"id": "audio_1"}}, id="an earlier sound"),
    ],
)
def test_what_has_no_bound_counts_as_a_whole_context(message: dict[str, Any]) -> None:
    ask = CHAT.ask(make_body(messages=[{"role": "user"} | message]), SIZE)

    assert ask.input == SIZE + FILE_TOKENS


def test_the_media_of_all_messages_count() -> None:
    image = {"role": "user", "content": [{"type": "image_url"}]}

    assert CHAT.ask(make_body(messages=[image, image]), SIZE).input == SIZE + 2 * MEDIA_TOKENS


@given(GARBAGE, GARBAGE, GARBAGE)
def test_no_body_is_too_strange(messages: object, limit: object, n: object) -> None:
    ask = CHAT.ask({"messages": messages, "max_tokens": limit, "n": n}, SIZE)

    assert SIZE <= ask.input <= MAX_TOKENS
    assert 0 <= ask.output <= MAX_TOKENS
    assert 1 <= ask.choices <= MAX_CHOICES


@pytest.mark.parametrize(
    ("known", "limit", "told"),
    [
        pytest.param({"max_output_tokens": 5, "context_length": 9}, 5, 5, id="its own limit"),
        pytest.param({"context_length": 9}, 9, 9, id="its context"),
        pytest.param({}, UNLIMITED_OUTPUT, UNLIMITED_OUTPUT, id="nothing is known"),
    ],
)
def test_an_answer_without_a_limit_is_bounded_by_its_endpoint(
    known: dict[str, int], limit: int, told: int
) -> None:
    """Under a budget the provider is told the limit always: it may do more than the catalogue says."""
    endpoint = make_endpoint(**known)

    assert output_limit(endpoint) == limit
    assert told_limit(endpoint, is_limited=True) == told
    assert told_limit(endpoint, is_limited=False) is None
    assert dearest(Ask(0), [endpoint]) == limit * Decimal("0.00001")


@pytest.mark.parametrize(
    ("known", "cap", "limit", "told", "told_under_budgets"),
    [
        pytest.param({"max_output_tokens": 5}, 4, 4, 4, 4, id="below its own limit"),
        pytest.param({"max_output_tokens": 5}, 5, 5, None, 5, id="its own limit"),
        pytest.param({"max_output_tokens": 5}, 6, 5, None, 5, id="above its own limit"),
        pytest.param({"context_length": 9}, 8, 8, 8, 8, id="below its context"),
        pytest.param({}, 7, 7, 7, 7, id="nothing else is known"),
        pytest.param(
            {},
            UNLIMITED_OUTPUT + 1,
            UNLIMITED_OUTPUT,
            UNLIMITED_OUTPUT + 1,
            UNLIMITED_OUTPUT,
            id="more than is held for",
        ),
    ],
)
def test_a_cap_of_policies_bounds_an_answer_without_a_limit(
    known: dict[str, int], cap: int, limit: int, told: int | None, told_under_budgets: int | None
) -> None:
    endpoint = make_endpoint(**known)

    assert output_limit(endpoint, cap) == limit
    assert told_limit(endpoint, cap, is_limited=False) == told
    assert told_limit(endpoint, cap, is_limited=True) == told_under_budgets
    assert dearest(Ask(0), [endpoint], cap) == limit * Decimal("0.00001")
    assert dearest(Ask(0, 3), [endpoint], cap) == 3 * Decimal("0.00001")


@pytest.mark.parametrize(
    ("question", "told"), [(0, 1000), (400, 600), (750, 250), (900, 250), (10**6, 250)]
)
def test_a_limit_by_the_context_leaves_room_for_the_question(question: int, told: int) -> None:
    endpoint = make_endpoint(context_length=1000)

    assert told_limit(endpoint, is_limited=True, input_most=question) == told
    assert told_limit(endpoint, 200, is_limited=True, input_most=question) == 200


@pytest.mark.parametrize(
    ("body", "tools"),
    [
        pytest.param({}, 0, id="none"),
        pytest.param({"tools": [{"type": "function"}]}, 1, id="tools"),
        pytest.param({"functions": [{"name": "f"}]}, 1, id="functions"),
        pytest.param({"web_search_options": {}}, 1, id="a search without wishes"),
        pytest.param({"plugins": [{"id": "web"}]}, 1, id="plugins"),
        pytest.param({"tools": {}}, 1, id="what is no list"),
        pytest.param({"tools": [], "functions": None, "plugins": False}, 0, id="empty ones"),
        pytest.param({"tool_choice": "auto"}, 0, id="a choice of none"),
    ],
)
def test_what_gives_a_model_something_to_call_is_seen(body: dict[str, object], tools: int) -> None:
    assert CHAT.ask(make_body(**body), SIZE).tools == tools


def test_the_worst_case_is_exact() -> None:
    prices = Prices(
        input=Decimal("0.15"), output=Decimal("0.60"), cache_write=Decimal("0.1875"),
        request=Decimal("0.0001"),
    )  # fmt: skip

    worst = dearest(Ask(input=1001, output=333, choices=2), [make_endpoint(prices=prices)])

    assert worst == Decimal("0.0001876875") + Decimal("0.0003996") + Decimal("0.0001")


def test_no_more_input_is_read_than_the_context_has_room_for() -> None:
    endpoints = [make_endpoint(context_length=100)]

    worst = [dearest(Ask(count, 1), endpoints) for count in (99, 100, 101, MAX_TOKENS)]

    assert worst == [count * Decimal("0.000001") + Decimal("0.00001") for count in (99, 100, 100, 100)]  # fmt: skip


def test_the_dearest_endpoint_counts_and_none_costs_nothing() -> None:
    cheap = make_endpoint(prices=Prices(input=Decimal(9)))
    dear = make_endpoint(prices=Prices(input=Decimal(1), request=Decimal(1)))
    ask = Ask(input=100)

    assert dearest(ask, [cheap, dear]) == dearest(ask, [dear]) > dearest(ask, [cheap])
    assert dearest(ask, []) == 0


def test_embeddings_cost_their_input() -> None:
    assert dearest(Ask(1_000_000, 0, 0), [make_endpoint()]) == 1


@given(ASKS, ENDPOINTS, st.data())
def test_no_call_within_the_ask_costs_more(
    ask: Ask, endpoint: Endpoint, data: st.DataObject
) -> None:
    most = min(ask.input, endpoint.context_length or ask.input)
    inputs = data.draw(st.integers(0, most))
    cached = data.draw(st.integers(0, inputs))
    written = data.draw(st.integers(0, inputs - cached))
    answers = ((ask.output or output_limit(endpoint)) + ask.extra) * ask.choices
    tokens = Tokens(
        input=inputs, cached=cached, cache_write=written, output=data.draw(st.integers(0, answers))
    )

    worst = dearest(ask, [endpoint])

    assert worst >= price_tokens(tokens, endpoint.prices).total
    assert worst == worst.quantize(COST_PLACES)
    costly = Tokens(input=most, output=answers)
    if endpoint.prices.dearest_input == endpoint.prices.input:
        assert worst == price_tokens(costly, endpoint.prices).total
