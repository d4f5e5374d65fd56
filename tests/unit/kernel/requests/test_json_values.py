"""The number of values in a JSON text."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.kernel.requests import json_values
from crossdock.kernel.requests.json_values import MAX_VALUES, SMALL_BYTES, has_too_many_values

PAD = " " * SMALL_BYTES
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.sampled_from('",\\[{ax\n'), max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


def parts(value: Any) -> Iterator[str]:
    """Yield a sign for each string, comma and opening bracket of a value's JSON."""
    if isinstance(value, str):
        yield '"'
    elif isinstance(value, list | dict):
        yield "["
        yield from "," * (len(value) - 1)
        for name in value if isinstance(value, dict) else ():
            yield from parts(name)
        for inner in value.values() if isinstance(value, dict) else value:
            yield from parts(inner)


@given(value=JSON, is_ascii=st.booleans())
def test_the_text_of_strings_counts_once(value: Any, is_ascii: bool) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii)
    count = len(list(parts(value)))
    rest = MAX_VALUES - count - 1  # of the list around, and of what fills it up

    fitting = f"[{PAD}{'1,' * (rest - 1)}{text}]"
    over = f"[{PAD}{'1,' * (rest + 1)}{text}]"

    assert json.loads(fitting)[-1] == value
    assert not has_too_many_values(fitting.encode())
    assert has_too_many_values(over.encode())


@pytest.mark.parametrize(
    "unit",
    ["[],", "{},", '"",', '"a":{},', "1,"],
    ids=["lists", "objects", "strings", "fields", "numbers"],
)
def test_many_small_values_are_too_many(unit: str) -> None:
    assert has_too_many_values(b"[" + unit.encode() * 2 * MAX_VALUES + b"0]")


def test_a_long_text_is_one_value() -> None:
    prompt = json.dumps(['{"a": [1, 2, "x\\y"]}, ' * 500_000]).encode()

    assert len(prompt) > 10 * SMALL_BYTES
    assert not has_too_many_values(prompt)


def test_a_small_text_is_not_looked_at() -> None:
    assert not has_too_many_values(b"[" * json_values.SMALL_BYTES)
