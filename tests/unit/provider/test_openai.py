import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.provider.adapters.openai import make_call, read_answer, read_usage
from crossdock.provider.adapters.types import BrokenAnswer, ProviderAnswer, UnreadableLineError
from crossdock_schemas.calls.usage import CallOutcome
from crossdock_schemas.tokens import Tokens
from unit.provider.builders import make_candidate, make_completion, make_line

CHAT = "/v1/chat/completions"
EMBEDDINGS = "/v1/embeddings"


def answered(**changes: Any) -> ProviderAnswer | BrokenAnswer:
    return read_answer(CHAT, json.dumps(make_completion(**changes)).encode())


def choice(**changes: Any) -> list[dict[str, Any]]:
    return [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"} | changes]


def test_the_body_goes_up_with_the_providers_own_model_name_and_unstreamed() -> None:
    ours: dict[str, Any] = {"provider": {"zdr": True}, "models": None, "stream": True}
    line = make_line(temperature=0.5, stream_options={"include_usage": True}, **ours)

    call = make_call(line, make_candidate())

    body = json.loads(call.body)
    assert call.custom_id == "line-0"
    assert body.keys() == {"model", "messages", "temperature"}
    assert (body["model"], body["temperature"]) == ("first-gull", 0.5)


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"[]", b"1", b'{"custom_id":"a"}', b'{"custom_id":"a","body":[]}', b'{"body":{}}'],
)
def test_a_line_that_is_no_request_is_refused(line: bytes) -> None:
    with pytest.raises(UnreadableLineError):
        make_call(line, make_candidate())


def test_a_sound_answer_is_passed_on_byte_for_byte() -> None:
    raw = b'{"choices": [{"message":{"content":"h\\u0069"},"finish_reason":"stop"}],"x":1.50}'

    answer = read_answer(CHAT, raw)

    assert isinstance(answer, ProviderAnswer)
    assert (answer.body, answer.output_chars, answer.tokens) == (raw, 2, None)


def test_an_answer_on_several_lines_becomes_one_line() -> None:
    raw = json.dumps(make_completion(), indent=2).encode()

    answer = read_answer(CHAT, raw)

    assert isinstance(answer, ProviderAnswer)
    assert b"\n" not in answer.body
    assert json.loads(answer.body) == make_completion()


@pytest.mark.parametrize(
    ("content", "outcome", "code"),
    [
        pytest.param(b"", CallOutcome.GARBAGE, "broken_json", id="empty"),
        pytest.param(b"<html>", CallOutcome.GARBAGE, "broken_json", id="html"),
        pytest.param(b'\n {"choices":[{"mess', CallOutcome.TRUNCATED, "broken_json", id="cut"),
        pytest.param(b'{"choices":NaN}', CallOutcome.GARBAGE, "broken_json", id="no JSON number"),
        pytest.param(b"[1]", CallOutcome.GARBAGE, "not_an_object", id="list"),
        pytest.param(b'{"id":1}', CallOutcome.GARBAGE, "no_choices", id="no choices"),
        pytest.param(b'{"choices":[]}', CallOutcome.GARBAGE, "no_choices", id="empty choices"),
        pytest.param(b'{"choices":[7]}', CallOutcome.GARBAGE, "no_message", id="odd choice"),
        pytest.param(b'{"choices":[{}]}', CallOutcome.GARBAGE, "no_message", id="no message"),
        pytest.param(
            b'{"error":{"message":"x"}}', CallOutcome.SERVER_ERROR, "error_in_200", id="error"
        ),
    ],
)
def test_what_is_no_answer_is_a_fault(content: bytes, outcome: CallOutcome, code: str) -> None:
    assert read_answer(CHAT, content) == BrokenAnswer(outcome, code)


@pytest.mark.parametrize("finish", [None, "", 7, ["stop"]])
def test_an_answer_without_a_finish_reason_was_cut(finish: object) -> None:
    fault = answered(choices=choice(finish_reason=finish))

    assert fault == BrokenAnswer(CallOutcome.TRUNCATED, "no_finish_reason")


def test_tool_calls_may_end_with_an_empty_reason() -> None:
    message = {"content": None, "tool_calls": [{"id": "t"}]}

    assert isinstance(answered(choices=choice(message=message, finish_reason="")), ProviderAnswer)


def test_a_broken_generation_is_the_providers_error() -> None:
    assert answered(choices=choice(finish_reason="error")) == BrokenAnswer(
        CallOutcome.SERVER_ERROR, "error"
    )


def test_embeddings_need_a_vector_in_every_entry() -> None:
    whole = {"data": [{"embedding": [0.1]}], "usage": {"prompt_tokens": 3}}

    answer = read_answer(EMBEDDINGS, json.dumps(whole).encode())

    assert isinstance(answer, ProviderAnswer)
    assert answer.tokens == Tokens(input=3)
    for broken in (b'{"data":[]}', b'{"data":[{}]}', b'{"data":[1]}', b"{}"):
        assert read_answer(EMBEDDINGS, broken) == BrokenAnswer(CallOutcome.GARBAGE, "no_embeddings")


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 4}, Tokens(input=9, output=4), id="plain"
        ),
        pytest.param(
            {
                "prompt_tokens": 9,
                "completion_tokens": 4,
                "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            Tokens(input=9, cached=5, cache_write=2, output=4, reasoning=3),
            id="details lie inside",
        ),
        pytest.param(
            {
                "prompt_tokens": 9,
                "completion_tokens": 4,
                "total_tokens": 16,
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            Tokens(input=9, output=7, reasoning=3),
            id="xAI leaves reasoning out",
        ),
        pytest.param(
            {"prompt_tokens": 9, "num_cached_tokens": 4},
            Tokens(input=9, cached=4),
            id="Mistral",
        ),
        pytest.param(
            {"prompt_tokens": 9, "prompt_cache_hit_tokens": 4},
            Tokens(input=9, cached=4),
            id="DeepSeek",
        ),
        pytest.param(
            {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 50}},
            Tokens(input=3, cached=3),
            id="more cached than there is",
        ),
        pytest.param(
            {"prompt_tokens": 3.0, "completion_tokens": 1.0, "prompt_tokens_details": None},
            Tokens(input=3, output=1),
            id="floats",
        ),
    ],
)
def test_usage_is_read_in_canonical_form(usage: dict[str, Any], tokens: Tokens) -> None:
    assert read_usage(usage) == tokens


@pytest.mark.parametrize("given_", [None, "3", -1, 10**18])
def test_usage_that_cannot_be_is_none(given_: object) -> None:
    assert read_usage({"prompt_tokens": given_}) is None


@pytest.mark.parametrize(
    "given_",
    ["3", "1e3", -1, True, False, 10**18, 10**400, -0.5, float("nan"), float("inf"), [3], {}],
    ids=lambda value: repr(value)[:20],
)
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens"])
def test_a_count_that_is_none_makes_the_usage_none(name: str, given_: object) -> None:
    """Zero would be booked as free: the call is booked at an estimate instead."""
    usage = {"prompt_tokens": 9, "completion_tokens": 4}

    assert read_usage(usage | {name: given_}) is None
    assert read_usage(usage | {"prompt_tokens_details": {"cached_tokens": given_}}) == Tokens(input=9, output=4)  # fmt: skip


def test_the_parts_count_where_their_sum_is_another() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 2}

    assert read_usage(usage) == Tokens(input=9, output=4)
    assert read_usage({"prompt_tokens": 9.2, "completion_tokens": None}) == Tokens(input=10)


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        pytest.param({"cost_in_usd_ticks": 12_345}, Decimal("0.0000012345"), id="xAI's ticks"),
        pytest.param({"cost": 0.00125}, Decimal("0.00125"), id="OpenRouter's cost"),
        pytest.param({"cost": "free"}, None, id="words"),
        pytest.param({"cost": -1}, None, id="negative"),
        pytest.param({"cost": 1e300}, None, id="beyond any column"),
        pytest.param({}, None, id="silent"),
    ],
)
def test_the_providers_own_cost_is_kept_where_it_is_one(
    usage: dict[str, Any], cost: Decimal | None
) -> None:
    answer = answered(usage={"prompt_tokens": 1} | usage)

    assert isinstance(answer, ProviderAnswer)
    assert answer.provider_cost_usd == cost


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "message",
                    "content",
                    "finish_reason",
                    "usage",
                    "prompt_tokens",
                    "prompt_tokens_details",
                    "cached_tokens",
                    "cost",
                    "data",
                    "embedding",
                    "error",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(value=json_values, operation=st.sampled_from([CHAT, EMBEDDINGS]))
def test_whatever_a_provider_sends_reading_it_returns(value: object, operation: str) -> None:
    assert isinstance(
        read_answer(operation, json.dumps(value).encode()), ProviderAnswer | BrokenAnswer
    )


@given(content=st.binary(max_size=40))
def test_any_bytes_can_be_read(content: bytes) -> None:
    assert isinstance(read_answer(CHAT, content), ProviderAnswer | BrokenAnswer)


@given(
    usage=st.fixed_dictionaries(
        {"prompt_tokens": st.integers(0, 10**6), "completion_tokens": st.integers(0, 10**6)},
        optional={
            "total_tokens": st.integers(0, 10**6),
            "prompt_tokens_details": st.fixed_dictionaries(
                {"cached_tokens": st.integers(0, 10**6), "cache_write_tokens": st.integers(0, 99)}
            ),
            "completion_tokens_details": st.fixed_dictionaries(
                {"reasoning_tokens": st.integers(0, 10**6)}
            ),
        },
    )
)
def test_parts_never_exceed_the_whole(usage: dict[str, Any]) -> None:
    tokens = read_usage(usage)

    assert tokens is not None
    assert 0 <= tokens.cached + tokens.cache_write <= tokens.input
    assert 0 <= tokens.reasoning <= tokens.output


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({}, {"max_completion_tokens": 900}),
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 5}, {"max_completion_tokens": 5}),
        ({"max_tokens": -1}, {"max_completion_tokens": 900}),
    ],
    ids=["no limit", "its own", "its own by the newer name", "one that is none"],
)
def test_no_answer_may_be_longer_than_what_money_is_held_for(
    body: dict[str, int], sent: dict[str, int]
) -> None:
    limits = {"output_limit": 900, "max_tokens_parameter": "max_completion_tokens"}
    line = json.dumps({"custom_id": "a", "body": {"messages": [], **body}}).encode()

    call = make_call(line, make_candidate().model_copy(update=limits))

    assert json.loads(call.body) == {"messages": [], "model": "first-gull", **sent}


def test_a_name_that_comes_twice_is_sent_once_with_the_value_that_was_priced() -> None:
    line = b'{"custom_id": "a", "body": {"n": 1, "messages": [{"a": 1, "a": 2}], "n": 2}}'

    sent = make_call(line, make_candidate()).body

    assert sent == b'{"n":2,"messages":[{"a":2}],"model":"first-gull"}'


@pytest.mark.parametrize("number", ["1e400", "-1e999", "NaN"])
def test_a_number_that_json_does_not_have_is_not_sent(number: str) -> None:
    line = f'{{"custom_id": "a", "body": {{"messages": [], "x": {{"y": {number}}}}}}}'

    with pytest.raises(UnreadableLineError):
        make_call(line.encode(), make_candidate())


def test_a_text_about_such_numbers_is_sent() -> None:
    line = b'{"custom_id": "a", "body": {"messages": ["Infinity", "NaN"]}}'

    assert make_call(line, make_candidate()).body.startswith(b'{"messages":["Infinity","NaN"]')


def test_an_embedding_has_no_answer_to_be_limited() -> None:
    limited = make_candidate().model_copy(update={"output_limit": 900})

    call = make_call(b'{"custom_id": "a", "body": {"input": "x"}}', limited)

    assert json.loads(call.body) == {"input": "x", "model": "first-gull"}
