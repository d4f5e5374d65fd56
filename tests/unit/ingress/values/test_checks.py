"""What callers send, checked."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.ingress.values.checks import (
    check_metadata,
    check_number,
    check_purpose,
    check_request,
)
from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.validation import parse_object
from crossdock_schemas.pricing.catalogue import Catalogue, Offer, Provider
from crossdock_schemas.pricing.prices import Prices

CATALOGUE = Catalogue(
    providers=(
        Provider(
            name="p",
            base_url="http://none",
            models=(
                Offer(model="chat", prices=Prices()),
                Offer(model="embed", operations=("/v1/embeddings",), prices=Prices()),
            ),
        ),
    )
)


def test_metadata_may_be_as_large_as_openai_allows() -> None:
    metadata = {f"{n:064d}": "v" * 512 for n in range(16)}

    assert check_metadata(metadata) == metadata
    assert check_metadata(None) is None


@pytest.mark.parametrize(
    ("metadata", "param", "code"),
    [
        pytest.param([], "metadata", "invalid_type", id="a list"),
        pytest.param(
            {str(n): "" for n in range(17)}, "metadata", "object_above_max_properties", id="17"
        ),
        pytest.param({"k" * 65: ""}, "metadata", "string_above_max_length", id="long key"),
        pytest.param({"k": "v" * 513}, "metadata.k", "string_above_max_length", id="long value"),
        pytest.param({"k": None}, "metadata.k", "invalid_type", id="null"),
    ],
)
def test_other_metadata_is_refused(metadata: object, param: str, code: str) -> None:
    with pytest.raises(RefusedError) as caught:
        check_metadata(metadata)

    assert (caught.value.param, caught.value.reason) == (param, code)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"3",
        b"null",
        b'{"a":NaN}',
        b'{"a":1}x',
        b"\xff",
        b'{"a":"\n"}',
        b'{"a":"\\ud800"}',
        b"[" * 5000,
    ],
)
def test_what_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(RefusedError) as caught:
        parse_object(raw)

    assert caught.value.status == 400


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_refused(raw: bytes) -> None:
    with contextlib.suppress(RefusedError):
        assert isinstance(parse_object(raw), dict)


def test_a_model_must_serve_the_operation() -> None:
    messages = [{"role": "user", "content": "x"}]

    assert check_request({"model": "chat", "messages": messages}, CHAT, CATALOGUE).model == "chat"
    assert check_request({"model": "embed", "input": "x"}, EMBED, CATALOGUE).model == "embed"
    with pytest.raises(RefusedError) as caught:
        check_request({"model": "embed", "messages": messages}, CHAT, CATALOGUE)
    assert caught.value.status == 404


CHAT = "/v1/chat/completions"
EMBED = "/v1/embeddings"


@pytest.mark.parametrize(
    ("body", "operation", "param"),
    [
        ({}, CHAT, "model"),
        ({"model": 3}, CHAT, "model"),
        ({"model": "chat"}, CHAT, "messages"),
        ({"model": "chat", "messages": []}, CHAT, "messages"),
        ({"model": "chat", "messages": ["x"]}, CHAT, "messages[0]"),
        ({"model": "embed"}, EMBED, "input"),
        ({"model": "embed", "input": 3}, EMBED, "input"),
        ({"model": "embed", "input": ""}, EMBED, "input"),
        ({"model": "nope", "input": "x"}, EMBED, "model"),
        ({"model": "embed", "input": "x", "provider": {"sort": "price"}}, EMBED, "provider.sort"),
        ({"model": "embed", "input": "x", "models": ["embed"]}, EMBED, "models"),
    ],
)
def test_an_unsound_request_names_the_parameter(
    body: dict[str, Any], operation: str, param: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        check_request(body, operation, CATALOGUE)

    assert caught.value.param == param


def test_batch_files_are_jsonl() -> None:
    check_purpose("batch", "A.JSONL")
    check_purpose("user_data", "a.pdf")
    with pytest.raises(RefusedError):
        check_purpose("batch", "a.json")


@pytest.mark.parametrize("text", ["x", "0", "101", "", "1e2", "9" * 30])
def test_a_query_number_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(RefusedError):
        check_number(text, "limit", default=1, lowest=1, highest=100)


def test_a_number_that_is_left_out_has_its_default() -> None:
    assert check_number(None, "limit", default=20, lowest=1, highest=100) == 20
