"""Streams made of finished answers."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crossdock.ingress.values.sse import DONE, make_events


def chunks_of(completion: dict[str, Any], *, include_usage: bool = False) -> list[dict[str, Any]]:
    events = list(make_events(completion, include_usage=include_usage))
    assert events[-1] == DONE
    return [json.loads(event.removeprefix(b"data: ")) for event in events[:-1]]


def make_completion(message: dict[str, Any], **changes: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": message, "finish_reason": "stop", **changes}
    return {
        "id": "c",
        "created": 1,
        "model": "m",
        "choices": [choice],
        "usage": {"total_tokens": 1},
    }


@given(st.text())
def test_the_pieces_make_the_text(text: str) -> None:
    chunks = chunks_of(make_completion({"role": "assistant", "content": text}))

    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert "".join(delta.get("content") or "" for delta in deltas) == text
    assert deltas[0]["role"] == "assistant"
    assert chunks[-1]["choices"][0] == {
        "index": 0,
        "delta": {},
        "logprobs": None,
        "finish_reason": "stop",
    }
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}


def test_usage_comes_last_and_only_when_asked_for() -> None:
    completion = make_completion({"role": "assistant", "content": "x"})

    without = chunks_of(completion)
    chunks = chunks_of(completion, include_usage=True)

    assert all("usage" not in chunk for chunk in without)
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {"total_tokens": 1}


def test_tool_calls_carry_their_index() -> None:
    calls = [
        {"id": f"call_{n}", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for n in range(2)
    ]
    message = {"role": "assistant", "content": None, "tool_calls": calls}

    chunks = chunks_of(make_completion(message, finish_reason="tool_calls"))

    found = [
        call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", [])
    ]
    assert [(call["index"], call["id"]) for call in found] == [(0, "call_0"), (1, "call_1")]
    assert chunks[0]["choices"][0]["delta"]["content"] is None
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_every_choice_is_told() -> None:
    completion = make_completion({"role": "assistant", "content": "x"})
    completion["choices"].append({**completion["choices"][0], "index": 1})

    assert {chunk["choices"][0]["index"] for chunk in chunks_of(completion)} == {0, 1}


def test_other_parts_of_the_message_are_kept() -> None:
    message = {"role": "assistant", "content": "x", "reasoning_content": "because", "refusal": None}

    deltas = [c["choices"][0]["delta"] for c in chunks_of(make_completion(message))]

    assert {"reasoning_content": "because"} in deltas
    assert all("refusal" not in delta for delta in deltas)


def test_logprobs_travel_with_their_text() -> None:
    logprobs = {"content": [{"token": "x"}]}
    message = {"role": "assistant", "content": "x" * 500}

    chunks = chunks_of(make_completion(message, logprobs=logprobs))

    (told,) = [c["choices"][0] for c in chunks if c["choices"][0]["logprobs"]]
    assert told["delta"]["content"] == "x" * 500


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    message=st.fixed_dictionaries(
        {}, optional={"role": ANYTHING, "content": ANYTHING, "tool_calls": ANYTHING, "x": ANYTHING}
    ),
    more=st.fixed_dictionaries(
        {}, optional={"index": ANYTHING, "logprobs": ANYTHING, "finish_reason": ANYTHING}
    ),
)
def test_a_stream_is_made_of_whatever_a_provider_put_into_a_choice(
    message: dict[str, Any], more: dict[str, Any]
) -> None:
    chunks = chunks_of(make_completion(message, **more), include_usage=True)

    assert chunks[-1]["choices"] == []


def test_the_events_of_a_long_text_take_a_few_times_its_bytes() -> None:
    text = "x" * 4_000_000

    events = list(make_events(make_completion({"content": text}), include_usage=False))

    assert sum(map(len, events)) < 2 * len(text)
