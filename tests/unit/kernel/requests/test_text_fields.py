"""Every text of a body is rewritten, wherever it is, and what is not changed stays itself."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.kernel.requests.text_fields import Place, rewrite


def shout(text: str, _: Place) -> str:
    """Change what begins with a letter of its own."""
    return text.upper() if text.startswith("x") else text


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param({"messages": [{"content": "xa"}]}, {"messages": [{"content": "XA"}]}, id="a content"),
        pytest.param(
            {"messages": [{"content": [{"type": "text", "text": "xa"}, {"type": "image_url", "image_url": {"url": "x"}}, "xb"]}]},
            {"messages": [{"content": [{"type": "text", "text": "XA"}, {"type": "image_url", "image_url": {"url": "X"}}, "XB"]}]},
            id="text parts",
        ),
        pytest.param(
            {"messages": [{"role": "x", "name": "x", "content": None, "refusal": "xr"}]},
            {"messages": [{"role": "X", "name": "X", "content": None, "refusal": "XR"}]},
            id="a refusal and names",
        ),
        pytest.param(
            {"messages": [{"tool_calls": [{"id": "x", "function": {"name": "x", "arguments": '{"a": "xa", "n": [1, null, true, 2.5]}'}}]}]},
            {"messages": [{"tool_calls": [{"id": "X", "function": {"name": "X", "arguments": '{"a": "XA", "n": [1, null, true, 2.5]}'}}]}]},
            id="arguments",
        ),
        pytest.param(
            {"messages": [{"tool_calls": [{"custom": {"name": "x", "input": "xa {"}}]}]},
            {"messages": [{"tool_calls": [{"custom": {"name": "X", "input": "XA {"}}]}]},
            id="an input that is no JSON",
        ),
        pytest.param(
            {"messages": [{"function_call": {"arguments": {"xk": "xv"}}}]},
            {"messages": [{"function_call": {"arguments": {"XK": "XV"}}}]},
            id="arguments that are an object",
        ),
        pytest.param(
            {"messages": [{"function_call": {"arguments": {"xk": 1, "XK": 2}}}]},
            {"messages": [{"function_call": {"arguments": {"XK": 1, "XK_2": 2}}}]},
            id="two names that become one",
        ),
        pytest.param({"input": "xa"}, {"input": "XA"}, id="an input"),
        pytest.param({"input": ["xa", "b", 5]}, {"input": ["XA", "b", 5]}, id="several inputs"),
        pytest.param({"prediction": {"type": "content", "content": "xa"}}, {"prediction": {"type": "content", "content": "XA"}}, id="a prediction"),
        pytest.param({"user": "x", "tools": [{"function": {"description": "x"}}]}, {"user": "X", "tools": [{"function": {"description": "X"}}]}, id="users and tools"),
        pytest.param({"xk": {"xl": ["x"]}, "stop": "x"}, {"XK": {"XL": ["X"]}, "stop": "X"}, id="unknown fields, and their names"),
        pytest.param({"model": "x", "provider": {"order": ["x"]}}, {"model": "x", "provider": {"order": ["x"]}}, id="not what chooses the endpoint"),
        pytest.param({"file_data": "x" * 64, "url": "data:image/png;base64," + "x" * 64}, {"file_data": "x" * 64, "url": "data:image/png;base64," + "x" * 64}, id="no media"),
        pytest.param({"file_data": "x y" * 64}, {"file_data": "X Y" * 64}, id="a text in the place of media"),
    ],
)  # fmt: skip
def test_what_a_model_reads_is_rewritten(body: dict[str, Any], expected: dict[str, Any]) -> None:
    assert rewrite(body, shout) == expected


def test_words_of_the_api_are_known() -> None:
    found = {}

    def note(text: str, place: Place) -> str:
        found[text] = place.is_word
        return text

    rewrite({"messages": [{"role": "user", "type": "mine", "content": "user"}]}, note)

    assert found == {"user": False, "mine": False}
    rewrite({"messages": [{"role": "user"}]}, note)
    assert found["user"]


def test_a_place_says_what_follows_what() -> None:
    paths = []

    def note(text: str, place: Place) -> str:
        paths.append((text, place.path, place.role))
        return text

    parts = [{"type": "text", "text": "b"}, {"text": {"value": "c"}}]
    rewrite(
        {"messages": [{"role": "user", "content": "a"}, {"role": "tool", "content": parts}]}, note
    )

    texts = [one for one in paths if len(one[0]) == 1]
    assert texts == [
        ("a", ("messages",), "user"),
        ("b", ("messages",), "tool"),
        ("c", ("messages",), "tool"),
    ]


def test_a_long_number_is_a_text_anywhere() -> None:
    body = {"card": 4111111111111111, "seed": 4111111111111111, "n": 4}

    found = rewrite(body, lambda text, _: text.replace("4111111111111111", "[CARD]"))

    assert found == {"card": "[CARD]", "seed": 4111111111111111, "n": 4}


def test_a_number_among_arguments_may_become_a_text() -> None:
    """Of a number something may be taken out, and the arguments stay JSON."""
    body = {"messages": [{"function_call": {"arguments": '{"card": 4111111111111111}'}}]}

    found = rewrite(body, lambda text, _: text.replace("4111111111111111", "[CARD]"))

    assert found == {"messages": [{"function_call": {"arguments": '{"card": "[CARD]"}'}}]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["content", "text", "arguments", "function", "tool_calls", "k"]), inner, max_size=3
    ),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["messages", "input", "prompt", "user"]), JSON))
def test_whatever_a_body_is_an_unchanged_one_is_itself(body: dict[str, Any]) -> None:
    assert rewrite(body, lambda text, _: text) is body


def test_a_field_whose_new_name_is_taken_gets_the_next_free_one() -> None:
    body = {"secret": 1, "x_2": 2, "secret ": 3, "x": 4}

    new = rewrite(body, lambda text, _: "x" if "secret" in text else text)

    assert sorted(new) == ["x", "x_2", "x_3", "x_4"]
    assert sorted(new.values()) == [1, 2, 3, 4]
